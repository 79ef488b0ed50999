"""Puts the reports of steps together, in the database and by bits: a line ran if it ran in any of them.

Neither the order of the reports nor that one comes twice changes anything. Where one report tells of more
lines of a file than another, the shorter bits are made longer.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.orm import Session

from changes.base import questions
from changes.results.coverage.models import FILES_PER_PACK, BuildCoveragePack

BITS = """
select each.file, each.executable, each.covered, each.partial
from {packs} pack, unnest(pack.files, pack.executable, pack.covered, pack.partial)
    as each (file, executable, covered, partial)
where {which}
"""
# Steps that no other stands for.
OF_STEPS = BITS.format(
    packs="step_coverage_pack",
    which="""pack.step_id in (
    select report.step_id from step_coverage report join job_step step on step.id = report.step_id
    where report.{whole} = %(whole)s and step.replacement_id is null
)""",
)
# Once the reports of the steps are cleaned away, what was made of them counts with those that come later.
OF_BUILD = BITS.format(packs="build_coverage_pack", which="pack.build_id = %(whole)s")
# Bits of one length are put together at once; few files have several.
MERGED = """
with told as (
    {told}
), alike as (
    select file, length(executable) as width,
        bit_or(executable) as executable, bit_or(covered) as covered, bit_or(partial) as partial
    from told group by file, length(executable)
), wide as (
    select *, max(width) over (partition by file) - width as missing from alike
), merged as (
    select file,
        bit_or(executable || repeat('0', missing)::varbit)::varbit as executable,
        bit_or(covered || repeat('0', missing)::varbit)::varbit as covered,
        bit_or(partial || repeat('0', missing)::varbit)::varbit as partial
    from wide group by file
)
"""
STORED = """
insert into build_coverage_pack as known (build_id, number, files, executable, covered, partial)
select %(build)s::uuid, file / {files_per_pack}, array_agg(file order by file),
    array_agg(executable order by file), array_agg(covered order by file),
    array_agg(nullif(partial & ~covered, (partial & ~partial)::varbit) order by file)
from merged group by file / {files_per_pack}
on conflict (build_id, number) do update set
    files = excluded.files, executable = excluded.executable,
    covered = excluded.covered, partial = excluded.partial
"""
SUMS = """
select count(*), coalesce(sum(bit_count(covered)), 0)::bigint,
    coalesce(sum(bit_count(executable) - bit_count(covered)), 0)::bigint
from {source}
"""


@dataclass(frozen=True)
class Sums:
    """Each line once, in however many reports it is."""

    file_count: int = 0
    lines_covered: int = 0
    lines_uncovered: int = 0


def merge(session: Session, build_id: UUID, *, is_folded: bool = False) -> Sums:
    """The caller has locked the row of the build's coverage."""
    told = OF_STEPS.format(whole="build_id")
    if is_folded:
        told += f"union all {OF_BUILD}"
    else:
        session.execute(delete(BuildCoveragePack).where(BuildCoveragePack.build_id == build_id))
    values = {"whole": build_id, "build": build_id}
    write(session, MERGED.format(told=told) + STORED.format(files_per_pack=FILES_PER_PACK), values)
    return sums_of_build(session, build_id)


def sums_of_build(session: Session, build_id: UUID) -> Sums:
    """Of what was put together already."""
    source = f"({OF_BUILD}) as merged"
    return Sums(*questions.ask(session, SUMS.format(source=source), {"whole": build_id})[0])


def sums_of_job(session: Session, job_id: UUID) -> Sums:
    merged = MERGED.format(told=OF_STEPS.format(whole="job_id"))
    return Sums(*questions.ask(session, merged + SUMS.format(source="merged"), {"whole": job_id})[0])


def write(session: Session, statement: str, values: dict[str, Any]) -> None:
    session.connection().exec_driver_sql(statement, values)
