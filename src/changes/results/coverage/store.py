"""What the reports of one step told, into its rows. Told again, it replaces what was told before."""

from collections.abc import Mapping, Sequence

import psycopg
from sqlalchemy import delete
from sqlalchemy.orm import Session

from changes.builds.models import Job, JobStep
from changes.results.coverage import files, packing
from changes.results.coverage.models import StepCoverage
from changes.results.formats.line_marks import Marks

STRANGE_NAMES_KEPT = 100
COPY = f"copy step_coverage_pack ({packing.COLUMNS}) from stdin (format binary)"


def store(session: Session, step: JobStep, covered: Mapping[str, Marks], strange: Sequence[str]) -> None:
    """By path in the repository. Of a file without any line that could run nothing is kept."""
    session.execute(delete(StepCoverage).where(StepCoverage.step_id == step.id))
    kept = {path: marks for path, marks in covered.items() if marks.executable}
    build_id = session.get_one(Job, step.job_id).build_id
    session.add(
        StepCoverage(
            step_id=step.id,
            job_id=step.job_id,
            build_id=build_id,
            file_count=len(kept),
            strange_count=len(strange),
            strange_names=list(strange[:STRANGE_NAMES_KEPT]),
        )
    )
    session.flush()
    numbers = files.numbers(session, step.project_id, list(kept))
    connection = session.connection().connection.driver_connection
    if not isinstance(connection, psycopg.Connection):
        raise TypeError("coverage needs a psycopg connection")
    with connection.cursor() as cursor, cursor.copy(COPY) as copy:
        for piece in packing.copied(step.id, {numbers[path]: marks for path, marks in kept.items()}):
            copy.write(piece)
