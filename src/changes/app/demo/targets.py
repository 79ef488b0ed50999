"""What became of the targets of Bazel in the builds of the demo that are made of some."""

from collections.abc import Iterator, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.app.demo.catalogue import TARGETS
from changes.app.demo.dice import Dice
from changes.builds.bazel import ResultSource
from changes.builds.models import BazelTarget, Build, Job, JobPhase, JobStep
from changes.builds.rules import Result, Status
from changes.builds.target_queries import KIND

JOBS = 40
PACKAGES = ("postings", "balances", "currencies", "statements/export", "statements/import", "audit")
RULES = ("model_test", "rules_test", "store_test", "wire_test")
LABELS = tuple(f"//ledger/{package}:{rule}" for package in PACKAGES for rule in RULES)
EXCLUDED = "//ledger/statements/export:bank_test"
EXCLUDED_FOR = "It was excluded by what collected the targets."
TAKEN_OVER = "It is not affected; this is its result in build #{number} of the commit below."
AFFECTED = "It is affected by these files:\nledger/{folder}/rules.py\nledger/{folder}/store.py"
SHORTEST_MS, LONGEST_MS = 400, 95_000


def tell(session: Session, seed: int) -> None:
    dice = Dice(seed)
    mine = select(JobPhase).join(Job, Job.id == JobPhase.job_id).where(Job.label == TARGETS.label)
    newest = mine.where(JobPhase.order == len(TARGETS.steps) - 1).order_by(JobPhase.id.desc()).limit(JOBS)
    for phase in session.execute(newest).scalars().all():
        affected = sorted(dice.sample(LABELS, dice.randint(len(LABELS) // 3, len(LABELS))))
        said = f"{len(affected)} of {len(LABELS)} targets are affected by what changed."
        collected = {"kind": KIND, "names": len(LABELS), "steps": 0, "messages": [said]}
        phase.data = {**phase.data, "collected": collected}
        steps = select(JobStep).where(JobStep.phase_id == phase.id, JobStep.replacement_id.is_(None))
        found = session.execute(steps.order_by(JobStep.id)).scalars().all()
        session.add_all(run_here(dice, found, affected))
        session.add_all(not_run(phase, number_below(session, phase), set(LABELS) - set(affected)))


def run_here(dice: Dice, steps: Sequence[JobStep], affected: Sequence[str]) -> Iterator[BazelTarget]:
    for place, step in enumerate(steps):
        names = affected[place :: len(steps)]
        broken = dice.randrange(len(names)) if step.result == Result.FAILED and names else None
        for number, name in enumerate(names):
            ended = step.status == Status.FINISHED and step.result in {Result.PASSED, Result.FAILED}
            result = Result.FAILED if number == broken else Result.PASSED
            folder = name.removeprefix("//ledger/").partition(":")[0]
            yield BazelTarget(
                job_id=step.job_id,
                step_id=step.id,
                name=name,
                result=result if ended else Result.UNKNOWN,
                duration_ms=dice.randint(SHORTEST_MS, LONGEST_MS) if ended else None,
                message=AFFECTED.format(folder=folder),
            )


def number_below(session: Session, phase: JobPhase) -> int:
    number = select(Build.number).join(Job, Job.build_id == Build.id).where(Job.id == phase.job_id)
    return max(1, session.execute(number).scalar_one() - 1)


def not_run(phase: JobPhase, below: int, unaffected: set[str]) -> Iterator[BazelTarget]:
    about = {"job_id": phase.job_id, "step_id": None}
    yield BazelTarget(**about, name=EXCLUDED, result=Result.SKIPPED, message=EXCLUDED_FOR)
    for name in sorted(unaffected):
        text = TAKEN_OVER.format(number=below)
        yield BazelTarget(
            **about, name=name, result=Result.PASSED, source=ResultSource.FROM_PARENT, message=text
        )
