"""The bits of some files: of a build as they were put together, or of a job as they are now."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy.orm import Session

from changes.base import questions
from changes.results.coverage import files, merging
from changes.results.coverage.models import FILES_PER_PACK
from changes.results.formats.line_marks import Marks, unpacked

KNOWN = """
select id, path from coverage_file where project_id = %(project)s and path_sha = any(%(shas)s)
"""
THESE = " and pack.number = any(%(packs)s) and each.file = any(%(files)s)"
BITS = "select file, executable::text, covered::text, partial::text from merged"


def of_build(session: Session, project_id: UUID, build_id: UUID, paths: Collection[str]) -> dict[str, Marks]:
    """Of those of these paths that it tells of."""
    told = merging.OF_BUILD + THESE
    return found(session, told, build_id, by_number(session, project_id, paths))


def of_job(session: Session, project_id: UUID, job_id: UUID, paths: Collection[str]) -> dict[str, Marks]:
    told = merging.OF_STEPS.format(whole="job_id") + THESE
    return found(session, told, job_id, by_number(session, project_id, paths))


def by_number(session: Session, project_id: UUID, paths: Collection[str]) -> dict[int, str]:
    shas = [files.sha_of(path) for path in paths]
    return {row[0]: row[1] for row in questions.ask(session, KNOWN, {"project": project_id, "shas": shas})}


def found(session: Session, told: str, whole: UUID, names: dict[int, str]) -> dict[str, Marks]:
    if not names:
        return {}
    packs = sorted({number // FILES_PER_PACK for number in names})
    values = {"whole": whole, "files": list(names), "packs": packs}
    told_rows = questions.ask(session, merging.MERGED.format(told=told) + BITS, values)
    return {names[row[0]]: marks_of(*row[1:]) for row in told_rows}


def marks_of(executable: str, covered: str, partial: str | None) -> Marks:
    return Marks(unpacked(executable), unpacked(covered), unpacked(partial) & ~unpacked(covered))
