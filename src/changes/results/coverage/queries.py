"""What pages and the API ask of coverage: of a build and what it is compared with, of its folders and files,
of a project through its commits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.base import questions
from changes.base.errors import TooLarge
from changes.base.paging import Page, Part
from changes.builds.models import Build
from changes.results.coverage import merging, patch
from changes.results.coverage.models import StepCoverage
from changes.results.coverage.patch import PatchCoverage
from changes.results.formats.line_marks import codes_of

# So many commits back it is looked for one whose build has coverage.
COMMITS_LOOKED_AT = 400
STRANGE_SHOWN = 100
CODES_MAX_LINES = 50_000_000
STATS_MAX = 20_000
LISTED = f"""
with file as materialized (
    select known.path, bit_count(each.covered)::int as covered,
        (bit_count(each.executable) - bit_count(each.covered))::int as uncovered,
        coalesce(bit_count(each.partial), 0)::int as partial
    from ({merging.OF_BUILD}) as each join coverage_file known on known.id = each.file
    where starts_with(known.path, %(prefix)s)
)
"""  # noqa: S608 - made of our own words
# Each name right below the folder: a file, or a folder with all that is in it.
LEVEL = """
select split_part(substr(path, length(%(prefix)s) + 1), '/', 1) as name,
    bool_or(position('/' in substr(path, length(%(prefix)s) + 1)) > 0) as is_folder,
    count(*)::int as files, sum(covered)::int as covered, sum(uncovered)::int as uncovered,
    sum(partial)::int as partial
from file group by 1 order by {order} limit %(limit)s offset %(offset)s
"""
LEVEL_ORDERS = {
    "uncovered": "uncovered desc, name",
    "name": "is_folder desc, name",
    "share": "sum(covered)::float / greatest(sum(covered) + sum(uncovered), 1), name",
}
FILES = """
select path, covered, uncovered, partial from file order by {order} limit %(limit)s offset %(offset)s
"""
FILE_ORDERS = {
    "name": "path",
    "lines_covered": "covered desc, path",
    "lines_uncovered": "uncovered desc, path",
}
NEWEST_OF_SOURCE = """
select build.id from build join build_coverage coverage on coverage.build_id = build.id
where build.source_id = %(source)s and coverage.report_count > 0
    and (%(project)s::uuid is null or build.project_id = %(project)s)
order by build.id desc limit 1
"""
CODES = f"""
select known.path, each.executable::text, each.covered::text, length(each.executable)
from ({merging.OF_BUILD}) as each join coverage_file known on known.id = each.file
where starts_with(known.path, %(prefix)s)
"""  # noqa: S608 - made of our own words
CODES_LENGTH = f"select coalesce(sum(length), 0) from ({CODES}) as file"  # noqa: S608 - as above
# As far down as all files go together.
SHARED = 'select min(path collate "C"), max(path collate "C") from file'
# Of the commits below, the nearest whose build has ended with coverage; of several builds the newest. It is
# not looked for where the build has none itself.
OF_BUILD = """
select coverage.*, base.id as base_id, base.number, base.sha, base.place, base.reports, base.covered,
    base.uncovered
from build_coverage coverage left join lateral (
    with recursive line(sha, place) as (
        select sha, 0 from unnest(%(begins)s::text[]) as sha
        union
        select parent, line.place + 1
        from line join revision on revision.repository_id = %(repository)s and revision.sha = line.sha,
            unnest(revision.parents) as parent
        where line.place < %(most)s
    ), near as (
        select sha, min(place) as place from (select * from line limit %(most)s) as walked group by sha
    )
    select build.id, build.number, near.sha, near.place, base.report_count as reports,
        base.lines_covered as covered, base.lines_uncovered as uncovered
    from near
    join source on source.repository_id = %(repository)s and source.revision_sha = near.sha
        and source.patch_id is null
    join build on build.source_id = source.id and build.project_id = %(project)s and build.id <> %(build)s
    join build_coverage base on base.build_id = build.id
    where build.status = 3 and build.result in (1, 2) and base.report_count > 0
    order by near.place, build.id desc limit 1
) as base on true
where coverage.build_id = %(build)s and coverage.report_count > 0
"""
TREND = """
select build.id, build.number, build.label, source.revision_sha, build.date_created,
    coverage.lines_covered, coverage.lines_uncovered,
    coverage.diff_lines_covered, coverage.diff_lines_uncovered
from build_coverage coverage
join build on build.id = coverage.build_id join source on source.id = build.source_id
where coverage.project_id = %(project)s and coverage.is_of_commit and coverage.report_count > 0
    and build.status = 3 and build.result in (1, 2)
order by coverage.build_id desc limit %(limit)s
"""
NEWEST_PASSED = """
select coverage.build_id from build_coverage coverage join build on build.id = coverage.build_id
where coverage.project_id = %(project)s and coverage.is_of_commit and coverage.report_count > 0
    and build.status = 3 and build.result = 1
order by coverage.build_id desc limit 1
"""


@dataclass(frozen=True)
class Counts:
    covered: int
    uncovered: int

    @property
    def total(self) -> int:
        return self.covered + self.uncovered

    @property
    def share(self) -> float | None:
        """Between 0 and 1; None where there is no line that could run."""
        return self.covered / self.total if self.total else None


@dataclass(frozen=True)
class BaseCoverage:
    """What a build is compared with: how many commits below it, and how many steps told something there."""

    build_id: UUID
    number: int
    sha: str
    commits_below: int
    report_count: int
    counts: Counts


@dataclass(frozen=True)
class CoverageOfBuild:
    """`of_patch` is None where it is not known which lines were added, and `patch_problem` says why."""

    counts: Counts
    file_count: int
    report_count: int
    of_patch: Counts | None
    patch: PatchCoverage
    patch_problem: str
    base: BaseCoverage | None

    @property
    def points_more(self) -> float | None:
        """Than the base, in points of percent."""
        if self.base is None or self.counts.share is None or self.base.counts.share is None:
            return None
        return (self.counts.share - self.base.counts.share) * 100


@dataclass(frozen=True)
class Entry:
    """A file or a folder below another one."""

    name: str
    path: str
    is_folder: bool
    file_count: int
    counts: Counts
    partial: int


@dataclass(frozen=True)
class FileCounts:
    path: str
    counts: Counts
    partial: int


@dataclass(frozen=True)
class Moment:
    """A build of a commit, as a point of the way that its project took."""

    build_id: UUID
    number: int
    label: str
    sha: str
    date_created: datetime
    counts: Counts
    of_patch: Counts | None


def of_build(session: Session, build: Build) -> CoverageOfBuild | None:
    """A patch is compared with the commit that it is made for, a commit with those before it."""
    revision, is_patch = build.source.revision, build.source.patch_id is not None
    values = {
        "build": build.id,
        "begins": [revision.sha] if is_patch else list(revision.parents),
        "repository": build.source.repository_id,
        "project": build.project_id,
        "most": COMMITS_LOOKED_AT,
    }
    found = questions.ask(session, OF_BUILD, values)
    return of_row(found[0], is_patch=is_patch) if found else None


def of_row(row: Any, *, is_patch: bool) -> CoverageOfBuild:
    base = None
    if row.base_id is not None:
        counts = Counts(row.covered, row.uncovered)
        below = row.place if is_patch else row.place + 1
        base = BaseCoverage(row.base_id, row.number, row.sha, below, row.reports, counts)
    return CoverageOfBuild(
        counts=Counts(row.lines_covered, row.lines_uncovered),
        file_count=row.file_count,
        report_count=row.report_count,
        of_patch=counts_of_patch(row),
        patch=patch.thawed(row.patch),
        patch_problem=row.diff_problem,
        base=base,
    )


def counts_of_patch(row: Any) -> Counts | None:
    is_known = row.diff_lines_covered is not None
    return Counts(row.diff_lines_covered, row.diff_lines_uncovered) if is_known else None


def strange_names(session: Session, build_id: UUID) -> tuple[int, list[str]]:
    """Of all its steps: how many at least, and the first of them."""
    mine = select(StepCoverage.strange_count, StepCoverage.strange_names)
    found = session.execute(
        mine.where(StepCoverage.build_id == build_id, StepCoverage.strange_count > 0)
    ).all()
    names = sorted({name for row in found for name in row.strange_names})
    return max([len(names), *(row.strange_count for row in found)]), names[:STRANGE_SHOWN]


def newest_of_source(session: Session, source_id: UUID, project_id: UUID | None = None) -> Build | None:
    found = questions.ask(session, NEWEST_OF_SOURCE, {"source": source_id, "project": project_id})
    return session.get_one(Build, found[0][0]) if found else None


# --- folders and files --------------------------------------------------------------------


def shared_folder(session: Session, build_id: UUID, folder: str = "") -> str:
    """As far down from `folder` as all files go together, with a slash behind it; all else is no choice."""
    [(first, last)] = questions.ask(session, LISTED + SHARED, {"whole": build_id, "prefix": folder})
    pairs = zip((first or "").split("/")[:-1], (last or "").split("/")[:-1], strict=False)
    parts = []
    for left, right in pairs:
        if left != right:
            break
        parts.append(left)
    return max(folder, "".join(f"{part}/" for part in parts), key=len)


def level(session: Session, build_id: UUID, folder: str, page: Page, sort: str) -> Part[Entry]:
    """What lies right below a folder, which is empty or ends with a slash."""
    found = ask_for(session, LEVEL.format(order=LEVEL_ORDERS[sort]), build_id, folder, page)
    entries = [
        Entry(
            row[0], f"{folder}{row[0]}{'/' if row[1] else ''}", row[1], row[2], Counts(row[3], row[4]), row[5]
        )
        for row in found
    ]
    return part_of(entries, page)


def files(session: Session, build_id: UUID | None, prefix: str, page: Page, sort: str) -> Part[FileCounts]:
    """Of no build, none."""
    found = ask_for(session, FILES.format(order=FILE_ORDERS[sort]), build_id, prefix, page)
    return part_of([FileCounts(row[0], Counts(row[1], row[2]), row[3]) for row in found], page)


def codes(session: Session, build_id: UUID, prefix: str = "") -> dict[str, str]:
    """N, U or C for each line of each file, as the original had it."""
    values = {"whole": build_id, "prefix": prefix}
    [(lines,)] = questions.ask(session, CODES_LENGTH, values)
    if lines > CODES_MAX_LINES:
        raise TooLarge(
            f"That is more than {CODES_MAX_LINES:,} lines; ask for a folder with prefix.", ["prefix"]
        )
    return {row[0]: codes_of(row[1], row[2]) for row in questions.ask(session, f"{CODES} order by 1", values)}


def ask_for(session: Session, what: str, build_id: UUID | None, prefix: str, page: Page) -> Sequence[Any]:
    values = {"whole": build_id, "prefix": prefix, "limit": page.size + 1, "offset": page.offset}
    return questions.ask(session, LISTED + what, values)


def part_of(found: list[Any], page: Page) -> Part[Any]:
    return Part(found[: page.size], has_next=len(found) > page.size, has_previous=page.number > 1)


# --- a project ----------------------------------------------------------------------------


def trend(session: Session, project_id: UUID, *, limit: int) -> list[Moment]:
    """Builds of commits that ended with a verdict of their own, oldest first."""
    found = questions.ask(session, TREND, {"project": project_id, "limit": limit})
    return [moment(row) for row in reversed(found)]


def moment(row: Any) -> Moment:
    counts = Counts(row.lines_covered, row.lines_uncovered)
    return Moment(
        row.id, row.number, row.label, row.revision_sha, row.date_created, counts, counts_of_patch(row)
    )


def newest_passed(session: Session, project_id: UUID) -> UUID | None:
    """The newest build of a commit that passed with coverage."""
    found = questions.ask(session, NEWEST_PASSED, {"project": project_id})
    return found[0][0] if found else None
