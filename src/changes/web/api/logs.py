"""Logs of steps, and files read as logs: by bytes, by lines, by what stands in them, as they grow."""

import re
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from changes.base.errors import Invalid, NotFound
from changes.builds import queries
from changes.builds.models import JobPhase
from changes.people.rules import Scope
from changes.results import artifacts, log_finding, log_reading, logparts, logs
from changes.results.log_finding import Wanted, Within
from changes.results.log_reading import Line, Source
from changes.results.models import LogSource
from changes.web import byte_ranges, call, log_streams, shapes
from changes.web.byte_ranges import Span
from changes.web.params import Flag, OptionalText, Parameters, documented_query, parameters

api = APIRouter(tags=["logs"])
BYTES_SHOWN = 50_000
BYTES_SHOWN_MAX = 1024 * 1024
OFFSET_MAX = 2**62
LINES = re.compile(r"(\d{1,15})(-(\d{1,15})?)?")
LINES_SHOWN, TAIL_MAX = 1000, log_reading.LINES_MAX
FOUND, BUDGET_S = 1000, 5.0
TEXT = "text"
Yes = Annotated[str | None, Field(description="anything: plain text instead of JSON")]


class LinePart(Parameters):
    lines: Annotated[OptionalText, Field(description="10-20, 10- or 10; lines count from 1")] = None
    tail: Annotated[int | None, Field(ge=1, le=TAIL_MAX, description="the last so many lines")] = None


class LogPart(LinePart):
    """By lines, or else by bytes."""

    format: Annotated[OptionalText, Field(description="text: plain text instead of JSON")] = None
    raw: Yes = None
    text: Yes = None
    download: Annotated[Flag, Field(description="plain text that browsers save")] = False
    offset: Annotated[int, Field(le=OFFSET_MAX, description="in bytes; -1 shows the tail")] = -1
    limit: Annotated[int, Field(description="bytes, JSON only; up to the end of a line")] = -1
    follow: Annotated[Flag, Field(description="plain text that goes on until the step ends")] = False


class Sought(Parameters):
    # Needed; but a stranger is told to sign in before he is told that.
    q: Annotated[str, Field(description="what to look for")] = ""
    regex: Annotated[Flag, Field(description="it is a regular expression (RE2)")] = False
    case: Annotated[Flag, Field(description="capitals matter")] = False
    after: Annotated[int, Field(ge=0, lt=2**53, description="in lines after this one")] = 0
    limit: Annotated[int, Field(ge=1, le=log_finding.FOUND_MAX)] = FOUND


# --- of a step -----------------------------------------------------------------------------------------


@api.get("/jobsteps/{step_id:uuid}/logs/")
def list_logs_of_step(request: Request, step_id: UUID) -> Response:
    """A step has few: what it prints, what prepares its machine, and what it asked for."""
    with call.begin(request, Scope.READ) as this:
        queries.step(this.session, step_id)
        found = logs.sources_of_steps(this.session, [step_id])[step_id]
        return this.answer({"logs": [shapes.log_source(source) for source in found]})


@api.get("/jobsteps/{step_id:uuid}/logs/{name}/", openapi_extra=documented_query(LogPart))
def show_log_of_step(
    request: Request, step_id: UUID, name: str, asked: Annotated[LogPart, parameters(LogPart)]
) -> Response:
    request.state.own_format = TEXT
    with call.begin(request, Scope.READ) as this:
        step = queries.step(this.session, step_id)
        if asked.follow and not logs.is_opened(this.session, step_id, name) and not step.is_finished:
            return log_streams.follow_from_the_start(request, step, name)
        return show(request, this, named(this, step_id, name), asked)


@api.get("/jobsteps/{step_id:uuid}/logs/{name}/search/", openapi_extra=documented_query(Sought))
def search_log_of_step(
    request: Request, step_id: UUID, name: str, asked: Annotated[Sought, parameters(Sought)]
) -> Response:
    with call.begin(request, Scope.READ) as this:
        return this.answer(found_in(this, named(this, step_id, name), asked))


@api.get("/jobs/{job_id:uuid}/logs/{source_id:uuid}/", openapi_extra=documented_query(LogPart))
def show_log(
    request: Request, job_id: UUID, source_id: UUID, asked: Annotated[LogPart, parameters(LogPart)]
) -> Response:
    request.state.own_format = TEXT
    with call.begin(request, Scope.READ) as this:
        return show(request, this, of_job(this, job_id, source_id), asked)


@api.get("/jobs/{job_id:uuid}/logs/{source_id:uuid}/search/", openapi_extra=documented_query(Sought))
def search_log(
    request: Request, job_id: UUID, source_id: UUID, asked: Annotated[Sought, parameters(Sought)]
) -> Response:
    with call.begin(request, Scope.READ) as this:
        return this.answer(found_in(this, of_job(this, job_id, source_id), asked))


def named(this: call.Call, step_id: UUID, name: str) -> LogSource:
    queries.step(this.session, step_id)
    return logs.source_of_step(this.session, step_id, name)


def of_job(this: call.Call, job_id: UUID, source_id: UUID) -> LogSource:
    source = logs.source(this.session, source_id)
    if source.job_id != job_id:
        raise NotFound("The job has no such log.")
    return source


# --- of a file -----------------------------------------------------------------------------------------


@api.get("/artifacts/{artifact_id:uuid}/log/", openapi_extra=documented_query(LinePart))
def show_file(
    request: Request, artifact_id: UUID, asked: Annotated[LinePart, parameters(LinePart)]
) -> Response:
    """By lines, as a log is read."""
    with call.begin(request, Scope.READ) as this:
        artifact = artifacts.by_id(this.session, artifact_id)
        chosen = chosen_of(this, artifact, asked)
        told = shaped_lines(this, artifact, chosen or Lines(1, LINES_SHOWN))
        return this.answer({"artifact": shapes.artifact(artifact), **told})


@api.get("/artifacts/{artifact_id:uuid}/log/search/", openapi_extra=documented_query(Sought))
def search_file(
    request: Request, artifact_id: UUID, asked: Annotated[Sought, parameters(Sought)]
) -> Response:
    with call.begin(request, Scope.READ) as this:
        return this.answer(found_in(this, artifacts.by_id(this.session, artifact_id), asked))


# --- answers -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lines:
    """From this number on so many."""

    first: int
    count: int


def show(request: Request, this: call.Call, source: LogSource, asked: LogPart) -> Response:
    chosen = chosen_of(this, source, asked)
    if asked.follow:
        begin = max(0, asked.offset) if chosen is None else begin_of(this, source, chosen.first)
        return log_streams.follow(request, source, begin)
    if is_text(asked):
        span = span_of(request, this, source, asked, chosen)
        return log_streams.part(request, source, span, name_of(source) if asked.download else "")
    if chosen is not None:
        return this.answer({"source": shapes.log_source(source), **shaped_lines(this, source, chosen)})
    return this.answer(by_bytes(this, source, asked))


def is_text(asked: LogPart) -> bool:
    return asked.format == TEXT or asked.download or asked.raw is not None or asked.text is not None


def chosen_of(this: call.Call, source: Source, asked: LinePart) -> Lines | None:
    if asked.tail is not None:
        total = log_reading.line_count(this.session, source)
        return Lines(max(1, total - asked.tail + 1), asked.tail)
    if asked.lines is None:
        return None
    told = LINES.fullmatch(asked.lines)
    if told is None:
        raise Invalid("lines is 10-20, 10- or 10.", ["lines"])
    first = max(1, int(told[1]))
    last = first if told[2] is None else int(told[3] or first + LINES_SHOWN - 1)
    if last < first:
        raise Invalid("lines begin before they end.", ["lines"])
    return Lines(first, last - first + 1)


def span_of(
    request: Request, this: call.Call, source: LogSource, asked: LogPart, chosen: Lines | None
) -> Span:
    """Of lines all of their bytes; else what the header Range wants, or all from an offset on."""
    size = log_reading.text_of(this.session, source).size_bytes
    if chosen is not None:
        begin = begin_of(this, source, chosen.first)
        return Span(begin, begin_of(this, source, chosen.first + chosen.count), size)
    if asked.offset >= 0 or asked.limit > 0:
        begin = min(max(0, asked.offset), size)
        return Span(begin, min(size, begin + asked.limit) if asked.limit > 0 else size, size)
    return byte_ranges.span_of(request.headers.get("Range"), size)


def begin_of(this: call.Call, source: LogSource, line: int) -> int:
    """The end of the log for a line that is not there."""
    found = log_reading.lines(this.session, source, line, 1)
    return found[0].offset if found else log_reading.text_of(this.session, source).size_bytes


def name_of(source: LogSource) -> str:
    step = source.step
    return f"{step.job.build.project.slug}-{step.job.build.number}-{step.job.number}-{source.name}.log"


def by_bytes(this: call.Call, source: LogSource, asked: LogPart) -> dict[str, Any]:
    limit = min(asked.limit, BYTES_SHOWN_MAX) if asked.limit > 0 else BYTES_SHOWN
    parts = logparts.parts(this.session, source, offset=asked.offset, limit=limit)
    end = parts[-1].offset + len(parts[-1].data) if parts else max(0, asked.offset)
    return {
        "source": {**shapes.log_source(source), "step": with_phase(this, source)},
        "chunks": [shapes.log_part(source, part) for part in parts],
        "nextOffset": end,
    }


def with_phase(this: call.Call, source: LogSource) -> dict[str, Any]:
    """The step of a log, with its phase in a list, as the original has it."""
    phase = this.session.get_one(JobPhase, source.step.phase_id)
    return {**shapes.job_step(source.step), "phase": [shapes.phase(phase)]}


def shaped_lines(this: call.Call, source: Source, chosen: Lines) -> dict[str, Any]:
    """Where lines are long there are fewer; `nextLine` says where to go on, null that this is the end."""
    found = log_reading.lines(this.session, source, chosen.first, chosen.count)
    total = log_reading.line_count(this.session, source)
    following = found[-1].number + 1 if found else chosen.first
    return {
        "lines": [shaped(line) for line in found],
        "lineCount": total,
        "nextLine": following if following <= total else None,
    }


def shaped(line: Line) -> dict[str, Any]:
    return {
        "number": line.number,
        "offset": line.offset,
        "text": line.text.decode("utf-8", "replace"),
        "size": line.size_bytes,
        "read": shapes.when_ms(line.time_ms),
        "isCut": line.cut_bytes > 0,
        "isMissing": line.is_missing,
    }


def found_in(this: call.Call, source: Source, asked: Sought) -> dict[str, Any]:
    if not asked.q:
        raise Invalid("Say what to look for: q=TEXT.", ["q"])
    wanted = Wanted(asked.q, is_regex=asked.regex, ignore_case=not asked.case)
    within = Within(asked.after, asked.limit, BUDGET_S)
    found = log_finding.find(this.session, source, wanted, within)
    return {
        "lines": [shaped(line) for line in found.lines],
        "searchedTo": found.searched_to,
        "isComplete": found.is_complete,
    }
