"""What went wrong, as the logs of a step tell it: found when it ended, and known again in other builds."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, delete, func, select
from sqlalchemy.orm import Session

from changes.base import db, questions
from changes.base.errors import Invalid
from changes.builds import telling
from changes.builds.models import Build, Job, JobPlan, JobStep
from changes.builds.rules import Result
from changes.projects import log_lines
from changes.projects.log_lines import LogLine
from changes.projects.options import LOG_ERRORS
from changes.results import log_reading, log_scan, logs
from changes.results.log_error_models import LogError, LogErrorInBuild, LogErrorLine, LogLook, Severity
from changes.results.log_patterns import CAUSE, CRASH, IGNORED, OUTCOME, Pattern
from changes.results.log_scan import LINES_KEPT, FoundLine, KeptLine, Scanner
from changes.results.models import LogSource

# What passed is never looked at: words that frighten stand in the logs of good builds, too.
LOOKED_AT = frozenset({Result.FAILED, Result.INFRA_FAILED, Result.ABORTED})
RANKS = {"fatal": CRASH, "error": CAUSE + 5, "warning": OUTCOME + 5, "ignore": IGNORED}
SEVERITIES = {"fatal": Severity.FATAL, "error": Severity.ERROR, "warning": Severity.WARNING}
# So many lines of each log are kept with those around them.
AROUND_KEPT, AROUND_LINE_BYTES = 10, 500
BEFORE, AFTER, AROUND_MAX = 2, 3, 12
UNNAMED = "of the project"

# All in the order of their keys or numbers, so that two steps that tell the same do not wait in a circle.
NEW = """
insert into log_error
    (project_id, key, text, pattern, severity, rank, first_build_id, date_first, last_build_id, date_last)
select %(project)s::uuid, new.*, %(build)s::uuid, %(at)s, %(build)s::uuid, %(at)s
from unnest(%(keys)s::text[], %(texts)s::text[], %(patterns)s::text[], %(severities)s::smallint[],
            %(ranks)s::smallint[]) as new
order by 2 on conflict (project_id, key) do nothing
"""
KNOWN = "select key, id from log_error where project_id = %(project)s and key = any(%(keys)s)"
LINES = """
insert into log_error_line (source_id, line, begins, error_id, text, times, around, around_first)
select * from unnest(%(sources)s::uuid[], %(lines)s::bigint[], %(begins)s::bigint[], %(errors)s::integer[],
                     %(texts)s::text[], %(times)s::integer[], %(around)s::text[], %(around_first)s::bigint[])
on conflict do nothing
"""
SEEN = """
with mine as (
    select line.error_id, sum(line.times) as lines from log_error_line line
    join log_source source on source.id = line.source_id join job on job.id = source.job_id
    where job.build_id = %(build)s and line.error_id = any(%(errors)s) group by 1 order by 1
), seen as (
    insert into log_error_in_build as known (build_id, error_id, project_id, lines)
    select %(build)s::uuid, error_id, %(project)s::uuid, lines from mine order by error_id
    on conflict (build_id, error_id) do update set lines = excluded.lines
    returning error_id, xmax = 0 as is_new
), locked as (
    select id from log_error where id in (select error_id from seen where is_new) order by id for update
)
update log_error set
    builds = builds + 1,
    first_build_id = least(first_build_id, %(build)s), date_first = least(date_first, %(at)s),
    last_build_id = greatest(last_build_id, %(build)s), date_last = greatest(date_last, %(at)s)
from locked where log_error.id = locked.id
"""


@dataclass(frozen=True)
class ErrorLine:
    """Lines count from 1; what belongs to it may begin before it. `times` is how often it is said there."""

    line: int
    begins: int
    text: str
    pattern: str
    severity: Severity
    error_id: UUID
    times: int


@dataclass(frozen=True)
class Around:
    """Some lines of a log, without colours; `first` is the number of the first of them."""

    first: int = 0
    text: str = ""


@dataclass(frozen=True)
class Looked:
    """One log, looked through."""

    source_id: UUID
    size_bytes: int
    skipped_bytes: int
    found: int
    kept: Sequence[KeptLine]
    # By the number of the line.
    around: Mapping[int, Around] = field(default_factory=dict)


# --- looking ---------------------------------------------------------------------------------


def look_through(step_id: UUID) -> None:
    """All logs of a step that has ended. May run twice: what was found before is written anew."""
    with db.transaction() as session:
        step = session.get(JobStep, step_id)
        if step is None or not step.is_finished or step.result not in LOOKED_AT:
            return
        engine = log_scan.engine(patterns_of(session, step.job_id))
        looked = [
            look(session, source, engine) for source in logs.sources_of_steps(session, [step_id])[step_id]
        ]
    with db.transaction() as session:
        build = session.execute(of_step(step_id)).scalar_one_or_none()
        if build is not None:
            store(session, build, looked)


def look(session: Session, source: LogSource, engine: log_scan.Engine) -> Looked:
    scanner = Scanner(engine, source.size_bytes)
    for block in log_reading.bytes_between(session, source, 0, source.size_bytes):
        scanner.feed(block)
    scanner.finish()
    kept = scanner.kept()
    best = sorted(kept, key=lambda each: -each.found.pattern.rank)[:AROUND_KEPT]
    around = {each.found.line: lines_around(session, source, each.found) for each in best}
    return Looked(source.id, source.size_bytes, scanner.skipped_bytes, scanner.found, kept, around)


def lines_around(session: Session, source: LogSource, found: FoundLine) -> Around:
    """A traceback as a whole, if it is short. Lines are as they were left on the terminal."""
    first = max(found.begins - BEFORE, found.line - (AROUND_MAX - AFTER - 1), 1)
    lines = log_reading.lines(session, source, first, found.line + AFTER - first + 1)
    shown = (log_scan.plain(each.text[:AROUND_LINE_BYTES] + b"\n").rstrip(b"\r\n") for each in lines)
    text = b"\n".join(shown).decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
    return Around(first, text)


def of_step(step_id: UUID) -> Select[Build]:
    return select(Build).join(Job, Job.build_id == Build.id).join(JobStep).where(JobStep.id == step_id)


def patterns_of(session: Session, job_id: UUID) -> tuple[Pattern, ...]:
    """As its plan and its project said when the job was made."""
    frozen = session.execute(select(JobPlan.data).where(JobPlan.job_id == job_id)).scalar_one_or_none() or {}
    said = log_lines.thawed((frozen.get("terms") or {}).get("log_errors"))
    return tuple(own(each) for each in (*said, *of_option(frozen.get("project_options") or {})))


def of_option(options: Mapping[str, Any]) -> list[LogLine]:
    """It was checked when it was stored; what an older version stored may be wrong by now."""
    try:
        return log_lines.of_text(str(options.get(LOG_ERRORS, "")))
    except Invalid:
        return []


def own(line: LogLine) -> Pattern:
    severity = SEVERITIES.get(line.severity, Severity.ERROR)
    return Pattern(line.name or UNNAMED, line.pattern, RANKS[line.severity], severity)


# --- storing ---------------------------------------------------------------------------------


def store(session: Session, build: Build, looked: Sequence[Looked]) -> None:
    source_ids = [each.source_id for each in looked]
    session.execute(delete(LogErrorLine).where(LogErrorLine.source_id.in_(source_ids)))
    session.execute(delete(LogLook).where(LogLook.source_id.in_(source_ids)))
    session.add_all(
        LogLook(
            source_id=each.source_id,
            size_bytes=each.size_bytes,
            skipped_bytes=each.skipped_bytes,
            found=each.found,
        )
        for each in looked
    )
    session.flush()
    found = [(each.source_id, kept) for each in looked for kept in each.kept]
    best = sorted(found, key=lambda pair: -pair[1].found.pattern.rank)[:LINES_KEPT]
    if best:
        around = {(each.source_id, line): shown for each in looked for line, shown in each.around.items()}
        store_lines(session, build, best, around)
    telling.tell(session, build)


def store_lines(
    session: Session,
    build: Build,
    found: Sequence[tuple[UUID, KeptLine]],
    around: Mapping[tuple[UUID, int], Around],
) -> None:
    shown = [around.get((source_id, kept.found.line), Around()) for source_id, kept in found]
    known = numbers(session, build, {key_of(kept): kept for _, kept in found})
    values: dict[str, Any] = {
        "sources": [source_id for source_id, _ in found],
        "lines": [kept.found.line for _, kept in found],
        "begins": [kept.found.begins for _, kept in found],
        "errors": [known[key_of(kept)] for _, kept in found],
        "texts": [kept.found.text for _, kept in found],
        "times": [kept.times for _, kept in found],
        "around": [each.text for each in shown],
        "around_first": [each.first for each in shown],
    }
    connection = session.connection()
    connection.exec_driver_sql(LINES, values)
    in_build = {**of_build(build), "errors": sorted(set(values["errors"]))}
    connection.exec_driver_sql(SEEN, in_build)


def numbers(session: Session, build: Build, by_key: Mapping[str, KeptLine]) -> dict[str, int]:
    """Of what is known, and of what is new from now on."""
    found = [kept.found for kept in by_key.values()]
    new: dict[str, Any] = {
        "keys": list(by_key),
        "texts": [each.text for each in found],
        "patterns": [each.pattern.name for each in found],
        "severities": [int(each.pattern.severity) for each in found],
        "ranks": [each.pattern.rank for each in found],
    }
    session.connection().exec_driver_sql(NEW, {**of_build(build), **new})
    asked = {"project": build.project_id, "keys": list(by_key)}
    return {row[0]: row[1] for row in questions.ask(session, KNOWN, asked)}


def of_build(build: Build) -> dict[str, UUID | datetime]:
    return {"build": build.id, "project": build.project_id, "at": build.date_created}


def key_of(kept: KeptLine) -> str:
    return hashlib.sha1(kept.key.encode(errors="replace"), usedforsecurity=False).hexdigest()


# --- reading ---------------------------------------------------------------------------------


def errors_of(session: Session, source_id: UUID) -> list[ErrorLine]:
    """Of one log, in its order."""
    found = select(LogErrorLine, LogError).join(LogError, LogError.id == LogErrorLine.error_id)
    mine = found.where(LogErrorLine.source_id == source_id).order_by(LogErrorLine.line)
    return [error_line(line, error) for line, error in session.execute(mine)]


def error_line(line: LogErrorLine, error: LogError) -> ErrorLine:
    return ErrorLine(
        line.line, line.begins, line.text, error.pattern, error.severity, error.outside_id, line.times
    )


def count_in(session: Session, build_id: UUID) -> int:
    """How many different ones a build has."""
    mine = select(func.count()).where(LogErrorInBuild.build_id == build_id)
    return session.execute(mine).scalar_one()
