"""The life of a change as one list of moments, oldest first: versions, builds, words, the landing. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from changes.builds.models import Build, Job
from changes.builds.rules import Result
from changes.projects.models import Change, Comment, Project, Source
from changes.projects.rules import ChangeState
from changes.results.figures import of_builds
from changes.results.figures.reading import Sums


@dataclass(frozen=True)
class Word:
    """A comment, and of what: a version, a build or a job of one; otherwise of the change itself."""

    comment: Comment
    source: Source | None = None
    build: Build | None = None
    project: Project | None = None
    job: Job | None = None


@dataclass(frozen=True)
class Moment:
    """`kind` is made, version, build, said or landed; the rest is there as its kind needs it."""

    kind: str
    at: datetime
    source: Source | None = None
    build: Build | None = None
    project: Project | None = None
    word: Word | None = None
    # How many steps of a build had to be tried again.
    repeated: int = 0


@dataclass(frozen=True)
class Course:
    """How it went so far, in numbers; None is what has not happened."""

    sums: Sums
    green_after_s: float | None
    landed_after_s: float | None


def course(change: Change, builds: Sequence[Build]) -> Course:
    """Counted from the moment it was made, or from its first build where that is older."""
    begun = min([change.date_created, *(each.date_created for each in builds)])
    green = [each.date_finished for each in builds if each.result == Result.PASSED and each.date_finished]
    landed = change.date_landed if change.state == ChangeState.LANDED else None
    return Course(of_builds.of_change(builds), since(begun, min(green, default=None)), since(begun, landed))


def since(begun: datetime, at: datetime | None) -> float | None:
    return None if at is None else max(0.0, (at - begun).total_seconds())


def moments(
    change: Change,
    sources: Sequence[Source],
    builds: Mapping[UUID, Sequence[tuple[Build, Project]]],
    words: Sequence[Word],
    repeated: Mapping[UUID, int],
) -> list[Moment]:
    """The moment it was made is that of its first version, where it has one by then."""
    found = [*versions(sources), *ran(builds, repeated), *said(words)]
    if not any(source.number == 1 and source.date_created <= change.date_created for source in sources):
        found.append(Moment("made", change.date_created))
    if change.state == ChangeState.LANDED and change.date_landed is not None:
        found.append(Moment("landed", change.date_landed))
    return sorted(found, key=lambda moment: moment.at)


def versions(sources: Sequence[Source]) -> Iterator[Moment]:
    """A commit may have been known long before it became a version; then its builds are older than it."""
    for source in sources:
        yield Moment("version", source.date_created, source=source)


def ran(
    builds: Mapping[UUID, Sequence[tuple[Build, Project]]], repeated: Mapping[UUID, int]
) -> Iterator[Moment]:
    for mine in builds.values():
        for build, project in mine:
            yield Moment(
                "build",
                build.date_created,
                build=build,
                project=project,
                repeated=repeated.get(build.id, 0),
            )


def said(words: Sequence[Word]) -> Iterator[Moment]:
    for word in words:
        yield Moment("said", word.comment.date_created, word=word)
