"""What the builds of a search have told it, and why it can go no further, in words.

A build that machines lost, or that somebody cancelled, says nothing of its commit: the first is built again
a few times, of the second it is told who cancelled it.
"""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.builds import reasons
from changes.builds.models import Build, FailureReason, Job, JobStep
from changes.builds.rules import Result
from changes.projects.models import Plan, Project
from changes.projects.rules import PlanStatus
from changes.results import origin_history, origin_rules
from changes.results.origin_history import Where
from changes.results.origin_models import OriginPlace, OriginSearch
from changes.results.origin_rules import LOST_IN_ALL_MAX, NOT_KNOWN, Verdict

SEARCH = "The search for what broke a test"
SHA_SHOWN = 12
LOST_TOO_OFTEN = (
    "Machines lost {count} builds of this search, so it has stopped. Search again when they are well:"
    " what is known stays known."
)
ELSEWHERE = (
    "One of {count} commits broke it, and nobody has told how the test went at those in between. It failed in"
    " builds that ran elsewhere ({part}), which cannot be started from here: build {sha} there, report it,"
    " and search again."
)
OR_HERE = " If a plan of this project runs the test too, build {sha} here: then the search goes on by itself."


def learn(session: Session, search: OriginSearch, places: Sequence[OriginPlace]) -> None:
    """From every build there is, whoever asked for it."""
    unknown = [each for each in places if each.verdict in NOT_KNOWN]
    shas = [each.sha for each in unknown]
    where = Where(search.plan, search.is_told)
    known = origin_history.known_of(session, search.project, search.test, shas, where)
    for each in unknown:
        if each.sha in known:
            each.verdict, each.build_id = known[each.sha].verdict, known[each.sha].build_id
            each.why = ""
    # What was cancelled because it is not needed any more is not between the good and the bad one.
    for number in origin_rules.unknown_between([each.verdict for each in places]):
        hear(session, search, places[number])
    session.flush()


def hear(session: Session, search: OriginSearch, place: OriginPlace) -> None:
    """Of a build that has told nothing of the test: it may have ended, or be gone."""
    build = place.build
    if build is None:
        place.build_id, place.is_ours = None, False
    elif build.is_finished and place.is_ours:
        note_silence(session, search, place, build)
    elif build.is_finished:
        # Somebody else's, which was cancelled, lost, or had other plans, says nothing of the commit.
        place.build_id = None


def note_silence(session: Session, search: OriginSearch, place: OriginPlace, build: Build) -> None:
    place.why = who_cancelled(session, build)
    was_lost = is_lost(session, build)
    place.verdict = origin_rules.silence(place.lost_builds, was_lost=was_lost, was_cancelled=bool(place.why))
    if place.verdict in (Verdict.UNKNOWN, Verdict.LOST):
        search.lost_ms += took_ms(build)
    if place.verdict == Verdict.UNKNOWN:
        place.build_id, place.is_ours = None, False
        place.lost_builds += 1


def who_cancelled(session: Session, build: Build) -> str:
    """In a sentence; empty where nobody did, as of a plan that cannot be run."""
    mine = select(FailureReason.data).where(
        FailureReason.build_id == build.id, FailureReason.reason == reasons.CANCELLED
    )
    said = session.execute(mine.order_by(FailureReason.id).limit(1)).scalar_one_or_none()
    return "" if said is None else reasons.sentence(reasons.CANCELLED, said)


def is_lost(session: Session, build: Build) -> bool:
    """Or a part of it, for which nothing else stands: the test may have been in that."""
    if build.result == Result.INFRA_FAILED:
        return True
    lost = select(JobStep.id).join(Job, Job.id == JobStep.job_id).where(Job.build_id == build.id)
    lost = lost.where(JobStep.result == Result.INFRA_FAILED, JobStep.replacement_id.is_(None))
    return session.execute(lost.limit(1)).first() is not None


def took_ms(build: Build) -> int:
    if build.date_started is None or build.date_finished is None:
        return 0
    return max(0, (build.date_finished - build.date_started) // timedelta(milliseconds=1))


def lost_builds(places: Sequence[OriginPlace]) -> int:
    return sum(each.lost_builds + (each.verdict == Verdict.LOST) for each in places)


def no_further(session: Session, search: OriginSearch, places: Sequence[OriginPlace]) -> str:
    """Empty where there is something left to build."""
    verdicts = [each.verdict for each in places]
    good, bad = origin_rules.interval(verdicts)
    if not origin_rules.unknown_between(verdicts):
        return origin_rules.nothing_left(verdicts) if bad > good + 1 else ""
    lost = lost_builds(places)
    if lost >= LOST_IN_ALL_MAX:
        return LOST_TOO_OFTEN.format(count=lost)
    if search.is_told:
        return told_elsewhere(session, search.project, search.plan, [each.sha for each in places], verdicts)
    return ""


def told_elsewhere(
    session: Session, project: Project, part: str, shas: Sequence[str], verdicts: Sequence[Verdict]
) -> str:
    """Which of the commits would tell most, and where it must be built."""
    good, bad = origin_rules.interval(verdicts)
    # One at once cuts what is left in halves.
    (middle,) = origin_rules.next_places(verdicts, (), 1)
    said = ELSEWHERE.format(count=bad - good, part=part, sha=short(shas[middle]))
    has_plans = (
        select(Plan.id).where(Plan.project_id == project.id, Plan.status == PlanStatus.ACTIVE).limit(1)
    )
    if session.execute(has_plans).first() is None:
        return said
    return said + OR_HERE.format(sha=short(shas[bad]))


def short(sha: str) -> str:
    return sha[:SHA_SHOWN]
