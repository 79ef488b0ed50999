"""Tests that may fail for a while: they run, are told of, and turn nothing red. Each returns by itself."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ScalarSelect, Text, cast, func, select, text
from sqlalchemy.orm import Session, joinedload

from changes.base import clock, events, ids
from changes.base.errors import Conflict, Invalid, NotFound
from changes.base.paging import Page, Part
from changes.builds.models import Command, Job, JobPlan, JobStep
from changes.builds.rules import Result
from changes.projects.models import Project
from changes.results import environments, quarantine_rules, run_numbers, testruns
from changes.results.events import QuarantineBegan, QuarantineEnded
from changes.results.formats.seen import QUARANTINED, TestSeen
from changes.results.models import Test, TestBatch, TestRun
from changes.results.quarantine_rules import Proof, Standing
from changes.results.verdict_models import TestQuarantine

LOCK_NUMBER = 0x71756172  # "quar"
TESTS_ASKED_MAX = 1000
WORDS_MAX_CHARS = 500
# As many are looked at in one transaction, and shown on a page without leading on.
AT_ONCE = 200
EXPIRED, PROVED, LIFTED = "expired", "proved", "lifted"
STEADY = (Result.PASSED, Result.QUARANTINED_PASSED)
# Where it was left out it proved nothing, and was no more unsteady for that.
JUDGED = (*STEADY, Result.FAILED, Result.QUARANTINED_FAILED)
# So far back before a quarantine it is looked for plans in which the test failed; and so many runs are looked
# at beside those that prove something.
BLAMED_FOR = timedelta(days=30)
RUNS_BESIDE, PLANS_BESIDE = 200, 8


@dataclass(frozen=True)
class Wanted:
    """`names` are full names of tests, or the digests of such."""

    names: Sequence[str]
    owner: str
    reason: str
    days: int = quarantine_rules.DAYS_DEFAULT
    passes: int = quarantine_rules.PASSES_DEFAULT
    # Also when it looks like one fault that many tests have in common.
    force: bool = False


def add(session: Session, project: Project, wanted: Wanted, *, by: str) -> list[TestQuarantine]:
    check(wanted)
    # Two who ask at once are counted together by the guard.
    session.execute(select(Project.id).where(Project.id == project.id).with_for_update())
    tests = tests_named(session, project, wanted.names)
    held = live_of(session, [test.id for test in tests])
    new = [test for test in tests if test.id not in held]
    if not new:
        raise Conflict("In quarantine already.", ["tests"])
    outage = quarantine_rules.outage(standing(session, project), len(new))
    if outage is not None and not wanted.force:
        raise Conflict(f"{outage} Force it if it is right all the same.", ["force"])
    now = clock.now()
    made = [
        TestQuarantine(
            id=ids.new(),
            project_id=project.id,
            test_id=test.id,
            owner=wanted.owner.strip(),
            reason=wanted.reason.strip(),
            created_by=by,
            date_created=now,
            date_expires=now + timedelta(days=wanted.days),
            passes_needed=wanted.passes,
        )
        for test in new
    ]
    session.add_all(made)
    session.flush()
    for each in made:
        events.announce(session, QuarantineBegan(each.id))
    return list_of(session, [each.id for each in made])


def list_of(session: Session, quarantine_ids: Collection[UUID]) -> list[TestQuarantine]:
    found = select(TestQuarantine).options(joinedload(TestQuarantine.test))
    found = found.where(TestQuarantine.id.in_(quarantine_ids)).order_by(TestQuarantine.id)
    return list(session.execute(found.execution_options(populate_existing=True)).scalars())


def check(wanted: Wanted) -> None:
    rules = quarantine_rules
    for name, value in (("owner", wanted.owner), ("reason", wanted.reason)):
        if not value.strip():
            raise Invalid(f"A quarantine needs {'an' if name == 'owner' else 'a'} {name}.", [name])
        if len(value) > WORDS_MAX_CHARS:
            raise Invalid(f"At most {WORDS_MAX_CHARS} characters.", [name])
    if not wanted.names or len(wanted.names) > TESTS_ASKED_MAX:
        raise Invalid(f"Name 1 to {TESTS_ASKED_MAX} tests.", ["tests"])
    if not 1 <= wanted.days <= rules.DAYS_MAX:
        raise Invalid(f"A quarantine lasts 1 to {rules.DAYS_MAX} days.", ["days"])
    if not rules.PASSES_MIN <= wanted.passes <= rules.PASSES_MAX:
        raise Invalid(f"{rules.PASSES_MIN} to {rules.PASSES_MAX} passes in a row.", ["passes"])


def tests_named(session: Session, project: Project, names: Sequence[str]) -> list[Test]:
    wanted = list(dict.fromkeys(name.strip() for name in names if name.strip()))
    mine = select(Test).where(
        Test.project_id == project.id, Test.name_sha.in_(wanted) | Test.name.in_(wanted)
    )
    found = list(session.execute(mine.order_by(Test.name)).scalars())
    known = {test.name for test in found} | {test.name_sha for test in found}
    unknown = [name for name in wanted if name not in known]
    if unknown or not found:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise NotFound(f"The project {project.slug} has no test {(unknown or [''])[0][:200]}{more}.")
    return found


def live_of(session: Session, test_ids: Collection[int]) -> dict[int, TestQuarantine]:
    live = select(TestQuarantine).where(TestQuarantine.date_ended.is_(None))
    found = session.execute(live.where(TestQuarantine.test_id.in_(test_ids))).scalars()
    return {each.test_id: each for each in found}


def standing(session: Session, project: Project) -> Standing:
    tests = session.execute(select(func.count()).where(Test.project_id == project.id)).scalar_one()
    lately = TestQuarantine.date_created > clock.now() - timedelta(days=1)
    counts = select(func.count(), func.count().filter(lately)).where(
        TestQuarantine.project_id == project.id, TestQuarantine.date_ended.is_(None)
    )
    held, held_lately = session.execute(counts).one()
    return Standing(tests, held, held_lately)


# --- what a step reports -----------------------------------------------------------------


def is_any(session: Session, project_id: UUID) -> bool:
    live = select(TestQuarantine.id).where(
        TestQuarantine.project_id == project_id, TestQuarantine.date_ended.is_(None)
    )
    return session.execute(live.limit(1)).first() is not None


def names_of(session: Session, project_id: UUID) -> frozenset[str]:
    """Names of the tests that may fail now. One whose time is over, but is not told yet, may no more."""
    live = select(Test.name).join(TestQuarantine, TestQuarantine.test_id == Test.id)
    live = live.where(TestQuarantine.project_id == project_id, TestQuarantine.date_ended.is_(None))
    return frozenset(session.execute(live.where(TestQuarantine.date_expires > clock.now())).scalars())


def applied(tests: Sequence[TestSeen], names: frozenset[str]) -> list[TestSeen]:
    """With the results of those in quarantine told as such, whether they passed or failed."""
    if not names:
        return list(tests)
    return [
        test._replace(result=QUARANTINED.get(test.result, test.result)) if test.name in names else test
        for test in tests
    ]


def excused(
    session: Session, step: JobStep, tests: Sequence[TestSeen], names: frozenset[str], *, is_whole: bool
) -> int:
    """For how many tests in quarantine its command failed, if for nothing else. What a report calls
    quarantined by itself, is not in ours and excuses nothing.
    """
    wrong = [test for test in tests if test.result in ("failed", "quarantined_failed")]
    held = sum(test.result == "quarantined_failed" and test.name in names for test in wrong)
    if not held:
        return 0
    codes = session.execute(select(Command.return_code).where(Command.step_id == step.id)).scalars().all()
    others = len(wrong) - held
    is_all = quarantine_rules.is_excused(codes, failed=others, excused=held, is_whole=is_whole)
    return held if is_all else 0


# --- its end -----------------------------------------------------------------------------


def lift(session: Session, project: Project, quarantine_id: UUID, *, by: str) -> TestQuarantine:
    """Once; who does it again, or too late, changes nothing."""
    found = find(session, project, quarantine_id)
    if found.date_ended is None:
        end(session, found, by=by, why=LIFTED)
        session.flush()
    return found


def end(session: Session, each: TestQuarantine, *, why: str, by: str = "") -> None:
    each.date_ended, each.ended_by, each.ended_why = clock.now(), by, why
    events.announce(session, QuarantineEnded(each.id, why))


def find(session: Session, project: Project, quarantine_id: UUID) -> TestQuarantine:
    mine = select(TestQuarantine).where(
        TestQuarantine.project_id == project.id, TestQuarantine.id == quarantine_id
    )
    found = session.execute(mine.options(joinedload(TestQuarantine.test))).scalar_one_or_none()
    if found is None:
        raise NotFound("This project has no such quarantine.")
    return found


def tend(session: Session) -> int:
    """Lets tests return whose time is over, or that passed often enough. How many did."""
    alone = text("select pg_try_advisory_xact_lock(:number)")
    if not session.execute(alone, {"number": LOCK_NUMBER}).scalar():
        return 0
    live = select(TestQuarantine).where(TestQuarantine.date_ended.is_(None))
    live = live.order_by(TestQuarantine.id).with_for_update(skip_locked=True)
    returned, now = 0, clock.now()
    for each in session.execute(live.execution_options(yield_per=AT_ONCE)).scalars().all():
        why = why_it_returns(session, each, now)
        if why is not None:
            end(session, each, why=why)
            returned += 1
    session.flush()
    return returned


def why_it_returns(session: Session, each: TestQuarantine, now: datetime) -> str | None:
    if each.date_expires <= now:
        return EXPIRED
    return PROVED if passes_in_a_row(session, each) >= each.passes_needed else None


def passes_in_a_row(session: Session, each: TestQuarantine) -> int:
    """Of commits, and since it is here. Being run again until it passed is no proof, and neither is what a
    plan says in which it never failed: that may be another system.
    """
    newest = (
        select(TestRun.result, TestRun.reruns, plan_of_run(), TestBatch.date_created > each.date_created)
        .join(TestBatch, testruns.is_batch_of_run())
        .where(
            TestRun.test_id == each.test_id,
            TestRun.id >= run_numbers.least_at(each.date_created - BLAMED_FOR),
            TestRun.result.in_(JUDGED),
            TestBatch.is_of_commit,
        )
        .order_by(TestRun.id.desc())
        .limit(RUNS_BESIDE + PLANS_BESIDE * each.passes_needed)
    )
    rows = [Proof(row[2], row[0] in STEADY and not row[1], row[3]) for row in session.execute(newest).all()]
    return quarantine_rules.passes_in_a_row(rows)


def plan_of_run() -> ScalarSelect[str]:
    """What ran elsewhere has no plan of ours, but a part of the same name each time."""
    plan = func.coalesce(cast(JobPlan.plan_id, Text), Job.label)
    found = select(func.concat(plan, "/", environments.of_step())).select_from(JobStep)
    found = found.join(Job, Job.id == JobStep.job_id).outerjoin(JobPlan, JobPlan.job_id == Job.id)
    return found.where(JobStep.id == TestBatch.step_id).scalar_subquery()


# --- to be looked at ---------------------------------------------------------------------


def live_list(session: Session, project: Project, *, test: str = "") -> list[TestQuarantine]:
    """Those that end first on top. `test` is the full name of one, or its digest."""
    live = select(TestQuarantine).options(joinedload(TestQuarantine.test))
    live = live.where(TestQuarantine.project_id == project.id, TestQuarantine.date_ended.is_(None))
    if test:
        is_it = (Test.name == test) | (Test.name_sha == test)
        live = live.join(Test, Test.id == TestQuarantine.test_id).where(is_it)
    live = live.order_by(TestQuarantine.date_expires, TestQuarantine.id).limit(AT_ONCE)
    return list(session.execute(live).scalars())


def ended_list(session: Session, project: Project, page: Page) -> Part[TestQuarantine]:
    ended = select(TestQuarantine).options(joinedload(TestQuarantine.test))
    ended = ended.where(TestQuarantine.project_id == project.id, TestQuarantine.date_ended.is_not(None))
    ended = ended.order_by(TestQuarantine.date_ended.desc(), TestQuarantine.id.desc())
    rows = session.execute(ended.offset(page.offset).limit(page.size + 1)).scalars().all()
    return Part(rows[: page.size], has_next=len(rows) > page.size, has_previous=page.number > 1)


def of_tests(session: Session, test_ids: Collection[int]) -> Mapping[int, TestQuarantine]:
    return live_of(session, test_ids) if test_ids else {}
