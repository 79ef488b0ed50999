"""One build in sentences: how it is, who asked for it, how long it will take, what happened when. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from changes.builds.anatomy import Why
from changes.builds.around import Around
from changes.builds.collection import verdict
from changes.builds.models import Build, JobStep
from changes.builds.rules import Cause, Result, Status
from changes.builds.triggers_rules import TAG_OF, Kind
from changes.web.pages import phrasing
from changes.web.pages.states import State, state_of

MESSAGE_LINES, MESSAGE_CHARACTERS = 30, 4000
EVENTS_MAX = 40
TEST_FAILURES = "test_failures"


@dataclass(frozen=True)
class Sentence:
    """`since` is when what still goes on began, so that the page may count on."""

    begins: str
    seconds: float
    since: datetime | None
    ends: str

    @property
    def text(self) -> str:
        return f"{self.begins} {phrasing.duration(self.seconds)}{self.ends}"


def sentence(build: Build, counts: Mapping[Result, int], now: datetime) -> Sentence:
    """The answer to the one question everybody comes with."""
    began = build.date_started or build.date_created
    seconds = ((build.date_finished or now) - began).total_seconds()
    ends = what_tests_say(counts)
    if build.status == Status.FINISHED:
        return Sentence(f"{state_of(build.status, build.result).word} after", seconds, None, ends)
    begins = "Waiting for a machine since" if build.date_started is None else "Running since"
    return Sentence(begins, seconds, began, ends)


def what_tests_say(counts: Mapping[Result, int]) -> str:
    failed, total = counts.get(Result.FAILED, 0), sum(counts.values())
    if failed:
        return f"; {phrasing.number(failed)} of {phrasing.counted(total, 'test')} failed."
    return f"; {phrasing.counted(total, 'test')}, none failed." if total else "."


# By the tags that triggers give.
BY_ITSELF = {
    TAG_OF[Kind.SCHEDULE]: "A schedule was due",
    TAG_OF[Kind.HOOK]: "A webhook asked for it",
    TAG_OF[Kind.PROJECT]: "Another project passed before",
}


def cause(build: Build, around: Around) -> str:
    """Who or what asked for it, as far as it is known."""
    earlier = [each for each in around.same_source if each.number < build.number]
    again = f"#{earlier[0].number}" if earlier else ""
    if build.cause == Cause.RETRY:
        retry = f"Retry of {again}" if again else "Retry of an earlier build"
        return f"{retry}, asked for by {build.asked_by}" if build.asked_by else retry
    if build.cause == Cause.MANUAL:
        by = asker(build)
        return f"Asked for by {by} by hand" if by else "Asked for by hand"
    if build.cause == Cause.PUSH:
        return "Pushed to the repository"
    if build.cause == Cause.SNAPSHOT:
        return "Makes a snapshot"
    known = [BY_ITSELF[tag] for tag in build.tags if tag in BY_ITSELF]
    if known and not build.asked_by:
        return known[0]
    by = f" by {build.asked_by}" if build.asked_by else ""
    return f"Asked for{by} through the API{', for a patch' if build.source.patch_id else ''}"


def of_family(builds: Sequence[Build]) -> State:
    """What became of all that was asked for together, or what is known already."""
    all_of_it = verdict(builds)
    return state_of(Status.FINISHED if all_of_it.is_finished else Status.IN_PROGRESS, all_of_it.result)


def asker(build: Build) -> str:
    """Whoever wrote the commit did not ask for the build of it; somebody else who is named did."""
    if build.asked_by:
        return build.asked_by
    wrote = build.source.revision.author_id
    return build.author.name if build.author is not None and build.author_id != wrote else ""


@dataclass(frozen=True)
class Estimate:
    """How far a running build is, reckoned from how long builds of its project take."""

    elapsed_s: int
    usual_s: int
    text: str


def estimate(build: Build, now: datetime) -> Estimate | None:
    usual_ms = build.project.avg_build_time_ms
    if build.date_started is None or build.is_finished or not usual_ms:
        return None
    elapsed_s = max(0, round((now - build.date_started).total_seconds()))
    usual_s = max(1, round(usual_ms / 1000))
    left_s = usual_s - elapsed_s
    text = (
        f"about {phrasing.long_duration(left_s)} left"
        if left_s > 0
        else f"{phrasing.long_duration(-left_s)} longer than usual"
    )
    return Estimate(min(elapsed_s, usual_s), usual_s, text)


def redness(build: Build, around: Around) -> list[tuple[str, Build | None]]:
    """Where a red build of a commit stands: words, and the build they speak of."""
    if build.source.patch_id or build.status != Status.FINISHED or build.result == Result.PASSED:
        return []
    told: list[tuple[str, Build | None]] = []
    first = around.first_red
    if first is not None and first.id == build.id:
        told.append(("The first red build", None))
    elif first is not None:
        told.append(("Red since", first))
    told.append(("Last green", around.last_green) if around.last_green else ("Never green before", None))
    if around.green_again is not None:
        told.append(("Green again with", around.green_again))
    return told


def advice(build: Build) -> str:
    """What to do about an end that says nothing about the code."""
    if build.status != Status.FINISHED:
        return ""
    if build.result == Result.INFRA_FAILED:
        return "Building it again usually helps; when it does not, the reasons below say where to look."
    if build.result == Result.ABORTED:
        return "It can be built again."
    return ""


def excerpt(text: str) -> str:
    """The beginning says what went wrong; the whole is on the page of the test."""
    lines = text[:MESSAGE_CHARACTERS].strip("\n").split("\n")
    shown = "\n".join(lines[:MESSAGE_LINES])
    return f"{shown}\n…" if len(lines) > MESSAGE_LINES or len(text) > MESSAGE_CHARACTERS else shown


@dataclass(frozen=True)
class Happening:
    """`href` leads to the step it is about."""

    at: datetime
    text: str
    state: State | None = None
    href: str = ""


def happenings(build: Build, steps: Sequence[JobStep], whys: Sequence[Why]) -> list[Happening]:
    """In the order of time; what went as it should is told only of the build as a whole."""
    told = [Happening(build.date_created, "Asked for")]
    if build.date_started is not None:
        waited_s = (build.date_started - build.date_created).total_seconds()
        told.append(
            Happening(build.date_started, f"The first step began, after {phrasing.duration(waited_s)}")
        )
    told += [each for step in steps for each in happenings_of(step, whys)][:EVENTS_MAX]
    if build.date_finished is not None:
        state = state_of(Status.FINISHED, build.result)
        told.append(Happening(build.date_finished, f"Ended: {state.word.lower()}", state))
    late = (build.date_decided - build.date_finished) if build.date_decided and build.date_finished else None
    if build.date_decided is not None and late is not None and late >= timedelta(seconds=1):
        seconds = phrasing.duration(late.total_seconds())
        told.append(Happening(build.date_decided, f"The verdict was known {seconds} later"))
    return sorted(told, key=lambda each: each.at)


def happenings_of(step: JobStep, whys: Sequence[Why]) -> list[Happening]:
    """That an attempt was lost or went wrong, and why."""
    is_bad = step.result in {Result.FAILED, Result.INFRA_FAILED, Result.ABORTED}
    if step.status != Status.FINISHED or step.date_finished is None or not is_bad:
        return []
    because = " ".join(each.text for each in whys if each.step_id == step.id)
    state = state_of(step.status, step.result)
    ending = ending_of(step, state)
    text = f"{label_of(step)}: {ending}. {because}".strip()
    return [Happening(step.date_finished, text, state, f"/steps/{step.id.hex}/")]


def ending_of(step: JobStep, state: State) -> str:
    if step.replacement_id is None:
        return state.word.lower()
    is_lost = step.result == Result.INFRA_FAILED
    return "was lost and made again" if is_lost else f"{state.word.lower()}, and done again"


def label_of(step: JobStep) -> str:
    return f"{step.label}, attempt {step.attempt}" if step.attempt > 1 else step.label
