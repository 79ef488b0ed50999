"""What the builds of the demo say of themselves: errors that are found in their logs, and cards."""

from collections.abc import Iterator, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.app.demo.dice import Dice
from changes.base.errors import Conflict
from changes.builds.models import Build, Job, JobStep
from changes.builds.rules import Result
from changes.results import cards, log_errors, log_scan, logs
from changes.results.cards import CardSaid
from changes.results.log_error_models import LogError
from changes.results.models import LogSource

STEPS_LOOKED_AT, STEPS_WITH_CARDS = 120, 60
NOTED = 2
SIZES = (("app.js", 412), ("vendor.js", 1290), ("style.css", 88), ("worker.js", 64))


def tell(session: Session, seed: int) -> None:
    look_through(session)
    note(session)
    dice = Dice(seed)
    builds = set()
    for place, step in enumerate(finished(session)):
        if step.job.build_id in builds:
            continue
        builds.add(step.job.build_id)
        for said in cards_of(dice, place, step):
            try:
                cards.post(session, step, said)
            except Conflict:
                # It was made again meanwhile.
                continue


def look_through(session: Session) -> None:
    """The oldest first, so that what comes again is known by then."""
    failed = select(JobStep).join(LogSource, LogSource.step_id == JobStep.id).distinct()
    failed = failed.where(JobStep.result == Result.FAILED, LogSource.size_bytes > 0)
    newest = failed.order_by(JobStep.id.desc()).limit(STEPS_LOOKED_AT)
    steps = session.execute(newest).scalars().all()[::-1]
    sources = logs.sources_of_steps(session, [step.id for step in steps])
    for step in steps:
        build = session.execute(log_errors.of_step(step.id)).scalar_one()
        looked = [log_errors.look(session, each, log_scan.engine()) for each in sources[step.id]]
        log_errors.store(session, build, looked)


def note(session: Session) -> None:
    most = select(LogError).order_by(LogError.builds.desc(), LogError.id).limit(NOTED)
    for error in session.execute(most).scalars():
        error.note = "Comes with a mirror that is behind; a second attempt mostly helps."
        error.tracker_url = f"https://tracker.orbit.example/ORBIT-{1200 + error.id}"
        error.noted_by, error.date_noted = "olga@orbit.example", error.date_last


def finished(session: Session) -> Sequence[JobStep]:
    found = select(JobStep).join(Job, Job.id == JobStep.job_id).join(Build, Build.id == Job.build_id)
    found = found.where(JobStep.replacement_id.is_(None), JobStep.result.in_((Result.PASSED, Result.FAILED)))
    return session.execute(found.order_by(JobStep.id.desc()).limit(STEPS_WITH_CARDS)).scalars().all()


def cards_of(dice: Dice, place: int, step: JobStep) -> Iterator[CardSaid]:
    key = f"of-step-{place}"
    if step.result == Result.FAILED:
        yield CardSaid(f"help-{key}", HELP, "error", "How to see it on your machine")
    elif place % 3 == 0:
        yield CardSaid(f"size-{key}", sizes(dice), "warning" if place % 2 else "info", "Size of the bundle")
    elif place % 3 == 1:
        yield CardSaid(f"preview-{key}", PREVIEW, "success", "Preview")


def sizes(dice: Dice) -> str:
    rows = "".join(
        f"| `{name}` | {size + grown} kB | {'+' if grown >= 0 else '−'}{abs(grown)} kB |\n"  # noqa: RUF001 -- the sign of a number
        for name, size in SIZES
        for grown in [dice.randint(-9, 24)]
    )
    return f"Against the commit below, compressed:\n\n| File | Now | Changed |\n|:--|--:|--:|\n{rows}"


PREVIEW = """\
The site of this change is at [preview.orbit.example](https://preview.orbit.example/). It
stays for **7 days**.

- [x] the page of orders is built
- [x] its pictures are new
- [ ] somebody has looked at it on a phone
"""
HELP = """\
It needs the services beside it:

```
make services
make test ONLY=integration
```

> The first start takes some minutes.
"""
