"""Compares what builds, jobs and phases say of themselves with what their parts are."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from sqlalchemy import Connection

from changes.app.doctor import looking
from changes.app.doctor.findings import Finding, State, counted, ok
from changes.app.doctor.questions import NOT_TO_BE_TRUSTED
from changes.builds import rules, tally
from changes.builds.rules import Result, ResultRule, Status

NEWEST = 2000
# Each row is a group of equal parts; a whole without parts has one row whose count is 0.
GROUPS = """
select whole.id, whole.status, whole.result, whole.tally, {rule}, part.status, part.result, {optional},
    count(part.id)
from {whole} whole left join {part} part on part.{above} = whole.id {current}
where whole.status <> 3 or whole.id in (select id from {whole} order by id desc limit :newest)
group by 1, 2, 3, 4, 5, 6, 7, 8 order by whole.id
"""
WHOLES = {
    "build": GROUPS.format(
        whole="build",
        part="job",
        above="build_id",
        rule="whole.result_rule",
        optional="part.is_optional",
        current="",
    ),
    "job": GROUPS.format(
        whole="job", part="job_phase", above="job_id", rule="0", optional="false", current=""
    ),
    "phase": GROUPS.format(
        whole="job_phase",
        part="job_step",
        above="phase_id",
        rule="0",
        optional="false",
        current="and part.replacement_id is null",
    ),
}


@dataclass(frozen=True)
class Whole:
    name: str
    status: Status
    result: Result
    tally: dict[str, int] | None
    rule: ResultRule
    groups: list[tuple[Status, Result, bool, int]] = field(default_factory=list)

    @property
    def is_miscounted(self) -> bool:
        return self.tally is not None and self.tally != tally.of_groups(self.groups)

    @property
    def is_misjudged(self) -> bool:
        """Somebody may end it with another verdict than its parts', but never make it pass."""
        if self.status != Status.FINISHED or not self.groups:
            return False
        results = tally.results(tally.of_groups(self.groups))
        said_of_parts = {result for _, result, _, _ in self.groups}
        is_like_a_part = self.result != Result.PASSED and self.result in said_of_parts
        return self.result != rules.judge(results, self.rule) and not is_like_a_part


def check(connection: Connection) -> list[Finding]:
    wholes = [whole for kind in WHOLES for whole in read(connection, kind)]
    return [
        finding(
            "counts-of-parts",
            "What is counted of the parts of a build is what they are",
            [whole.name for whole in wholes if whole.is_miscounted],
            can_be_mended=True,
        ),
        finding(
            "verdicts-follow-parts",
            "A build, job or phase passed only if its parts say so",
            [whole.name for whole in wholes if whole.is_misjudged],
        ),
    ]


def finding(name: str, promise: str, wrong: list[str], *, can_be_mended: bool = False) -> Finding:
    if not wrong:
        return ok(name, promise)
    advice = "`changes doctor --fix` counts anew." if can_be_mended else NOT_TO_BE_TRUSTED
    text = f"{promise}; {counted(wrong)}"
    return Finding(name, State.BROKEN, text, advice, tuple(wrong), can_be_mended)


def read(connection: Connection, kind: str) -> Iterator[Whole]:
    rows = looking.rows(connection, WHOLES[kind], {"newest": NEWEST})
    for _, group in groupby(rows, key=lambda row: row[0]):
        yield whole_of(kind, list(group))


def whole_of(kind: str, rows: list[Any]) -> Whole:
    whole_id, status, result, counts, rule = rows[0][:5]
    return Whole(
        name=f"{kind} {whole_id}",
        status=Status(status),
        result=Result(result),
        tally=counts,
        rule=ResultRule(rule),
        groups=[(Status(row[5]), Result(row[6]), row[7], row[8]) for row in rows if row[8]],
    )
