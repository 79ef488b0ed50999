"""Who asked for which build when: thirty days with working hours, branches of one idea, second tries."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import accumulate

from changes.app.demo import words
from changes.app.demo.catalogue import ProjectShape
from changes.app.demo.dice import Dice
from changes.app.demo.people import PEOPLE, Person
from changes.app.demo.suites import DAYS
from changes.app.demo.words import Message
from changes.builds.rules import Cause, Result

# How busy the hours of a day (UTC) and the days of a week (from Monday) are.
HOURS = (1, 1, 1, 1, 1, 1, 3, 9, 18, 26, 28, 24, 15, 24, 29, 27, 20, 12, 7, 5, 4, 3, 2, 1)
WEEK = (1.0, 1.15, 1.2, 1.1, 0.8, 0.12, 0.1)
NEWEST_WITHIN_S = 420
NEWEST_MAX = 8
PATCH_SHARE, SIBLING_SHARE, SECOND_TRY_SHARE, MANUAL_SHARE, SNAPSHOT_SHARE = 0.35, 0.7, 0.4, 0.06, 0.01


@dataclass(frozen=True)
class Change:
    """What is built: a commit, or a patch under review on top of one."""

    url: str
    sha: str
    parent: str
    author: Person
    message: Message
    at: datetime
    # The number of its review; 0 for a commit.
    review: int = 0
    diff: bytes = b""

    @property
    def target(self) -> str:
        return f"D{self.review}" if self.review else self.sha[:12]


@dataclass(frozen=True)
class Request:
    project: ProjectShape
    number: int
    at: datetime
    change: Change
    cause: Cause
    # Requests of one push share it.
    collection: int
    is_new_change: bool


@dataclass
class Repo:
    head: str
    # What may be tried again, and since when.
    failed: dict[str, tuple[datetime, Change]] = field(default_factory=dict)


def times(dice: Dice, number: int, now: datetime) -> list[datetime]:
    """Sorted; a handful lie within the last minutes, so that something runs and waits."""
    begin = now - timedelta(days=DAYS)
    hours = [begin + timedelta(hours=hour) for hour in range(DAYS * 24)]
    weights = list(accumulate(HOURS[hour.hour] * WEEK[hour.weekday()] for hour in hours))
    newest = min(NEWEST_MAX, number // 8)
    chosen = dice.choices(hours, cum_weights=weights, k=number - newest)
    found = [hour + timedelta(seconds=dice.uniform(0, 3599)) for hour in chosen]
    found += [now - timedelta(seconds=dice.uniform(5, NEWEST_WITHIN_S)) for _ in range(newest)]
    return sorted(min(each, now - timedelta(seconds=1)) for each in found)


class Month:
    """Yields requests in the order of time; tell it of failures, and some are tried again."""

    def __init__(self, dice: Dice, projects: list[ProjectShape], now: datetime) -> None:
        self.dice = dice
        self.projects = [shape for shape in projects if shape.share > 0]
        self.shares = [shape.share for shape in self.projects]
        self.now = now
        self.repos = {shape.url: Repo(dice.sha()) for shape in projects}
        self.numbers: dict[str, int] = {}
        self.collections = 0
        self.reviews = 4200

    def first_commits(self) -> dict[str, str]:
        return {url: repo.head for url, repo in self.repos.items()}

    def requests(self, number: int) -> Iterator[Request]:
        """Exactly so many."""
        waiting = iter(times(self.dice, number, self.now))
        for at in waiting:
            project = self.dice.pick(self.projects, self.shares)
            first = self.again(project, at) or self.fresh(project, at)
            yield first
            for sibling in self.siblings(first):
                # It takes the place of the next request, so the sum stays.
                if next(waiting, None) is None:
                    return
                yield self.request(sibling, at, first.change, Cause.PUSH, is_new_change=False)

    def fresh(self, project: ProjectShape, at: datetime) -> Request:
        repo, dice = self.repos[project.url], self.dice
        author = dice.pick(PEOPLE, [person.share for person in PEOPLE])
        change = Change(project.url, repo.head, repo.head, author, words.message(dice, project.words), at)
        cause = Cause.PUSH
        if dice.chance(PATCH_SHARE):
            self.reviews += 1
            change = replace(change, review=self.reviews, diff=words.diff(dice, project.words))
            cause = Cause.UNKNOWN
        else:
            repo.head = dice.sha()
            change = replace(change, sha=repo.head)
            cause = Cause.MANUAL if dice.chance(MANUAL_SHARE) else Cause.PUSH
            cause = Cause.SNAPSHOT if dice.chance(SNAPSHOT_SHARE) else cause
        self.collections += 1
        return self.request(project, at, change, cause, is_new_change=True)

    def again(self, project: ProjectShape, at: datetime) -> Request | None:
        failed = self.repos[project.url].failed
        since, change = failed.get(project.slug, (self.now, None))
        if change is None or at < since:
            return None
        del failed[project.slug]
        self.collections += 1
        return self.request(project, at, change, Cause.RETRY, is_new_change=False)

    def siblings(self, first: Request) -> list[ProjectShape]:
        """A push builds every project of its repository, mostly."""
        if first.cause != Cause.PUSH or not self.dice.chance(SIBLING_SHARE):
            return []
        mine = first.project
        return [shape for shape in self.projects if shape.url == mine.url and shape is not mine]

    def request(
        self, project: ProjectShape, at: datetime, change: Change, cause: Cause, *, is_new_change: bool
    ) -> Request:
        number = self.numbers[project.slug] = self.numbers.get(project.slug, 0) + 1
        return Request(project, number, at, change, cause, self.collections, is_new_change)

    def note(self, request: Request, result: Result, ended: datetime | None) -> None:
        tried_again = result in {Result.FAILED, Result.INFRA_FAILED} and request.cause != Cause.RETRY
        if ended is not None and tried_again and self.dice.chance(SECOND_TRY_SHARE):
            self.repos[request.change.url].failed[request.project.slug] = (ended, request.change)
