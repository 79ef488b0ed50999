"""A log with all that stands around it on a page: its other streams, its search, how it goes on."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from urllib.parse import quote
from uuid import UUID

from fastapi import Request

from changes.base.db import Session
from changes.builds import queries
from changes.builds.models import Command, JobStep
from changes.protocol import CONSOLE
from changes.results import log_errors, log_places, log_reading, logs
from changes.results.log_reading import Source
from changes.results.models import Artifact, LogSource
from changes.web.pages import links, logview
from changes.web.pages.log_rows import Manner
from changes.web.pages.logview import Asked, Search, Shown, Sought, Taste

MS_PER_S = 1000
HAS_HEADER, HAS_LOG = "Changes-Has", "log"


@dataclass(frozen=True)
class Log:
    """What is read, and the step that it is of."""

    source: Source
    step: JobStep
    commands: Sequence[Command]

    @property
    def is_printed(self) -> bool:
        """By the commands of the step; otherwise it is a file that was left behind."""
        return isinstance(self.source, LogSource)

    @property
    def is_running(self) -> bool:
        return self.is_printed and not self.step.is_finished

    @property
    def began_ms(self) -> int | None:
        began = self.step.date_started
        return None if began is None else round(began.timestamp() * MS_PER_S)

    @property
    def titles(self) -> frozenset[str]:
        """What the agent says before it runs a command."""
        told = [text for each in self.commands for text in (each.label, each.script)]
        return frozenset(text.splitlines()[0].rstrip() for text in told if text.strip())

    @property
    def download(self) -> str:
        if isinstance(self.source, Artifact):
            return f"/api/0/artifacts/{self.source.id.hex}/content/"
        return f"/api/0/jobsteps/{self.step.id.hex}/logs/{quote(self.source.name, safe='')}/?raw=1"


@dataclass(frozen=True)
class Streams:
    """`tabs` are (key, text, address), `chosen` the key of one; `name` is what the address says of it."""

    tabs: Sequence[tuple[str, str, str]]
    chosen: str
    name: str = ""


@dataclass(frozen=True)
class Viewer:
    """`streams` are the other logs of the step, with what tells them apart in the address; `live` is where
    the script goes on while the step runs.
    """

    log: Log
    address: str
    shown: Shown
    search: Search
    taste: Taste
    streams: Streams
    errors: Sequence[int] = ()
    live: Mapping[str, int] | None = None

    @property
    def id(self) -> str:
        return self.log.source.id.hex

    @property
    def name(self) -> str:
        return self.log.source.name

    @property
    def date_removed(self) -> datetime | None:
        return self.log.source.date_removed


def of_step(
    request: Request, session: Session, step: JobStep, commands: Sequence[Command], asked: Asked
) -> Viewer | None:
    """The stream that is asked for, or the console, or what there is."""
    sources = logs.sources_of_steps(session, [step.id])[step.id]
    if not sources:
        return None
    names = {source.name: source for source in sources}
    source = names.get(asked.stream) or names.get(CONSOLE) or sources[0]
    tabs = [(name, name, f"?stream={quote(name, safe='')}#log") for name in names]
    name = "" if source.name == CONSOLE else source.name
    return viewer(request, session, Log(source, step, commands), asked, Streams(tabs, source.name, name))


def alone(request: Request, session: Session, log: Log, asked: Asked) -> Viewer:
    """On a page of its own each stream of the step has an address."""
    sources = logs.sources_of_steps(session, [log.step.id])[log.step.id]
    tabs = [(source.id.hex, source.name, links.log(source.id)) for source in sources]
    if isinstance(log.source, Artifact):
        tabs.append((log.source.id.hex, PurePosixPath(log.source.name).name, links.log(log.source.id)))
    return viewer(request, session, log, asked, Streams(tabs, log.source.id.hex))


def viewer(request: Request, session: Session, log: Log, asked: Asked, streams: Streams) -> Viewer:
    taste = logview.taste(request, asked)
    errors = errors_in(session, log)
    if request.headers.get(HAS_HEADER) == HAS_LOG:
        # The page asks for itself again, to learn what became of the rest.
        shown, search = logview.counted(session, log.source), Search(Sought())
    else:
        manner = manner_of(log, asked, taste.times, errors)
        shown = logview.shown(session, log.source, asked.line, manner)
        search = logview.search(session, log.source, asked, manner)
    live = live_from(session, log, shown) if log.is_running else None
    return Viewer(log, links.log(log.source.id), shown, search, taste, streams, errors, live)


def errors_in(session: Session, log: Log) -> list[int]:
    """The numbers of lines that tell what went wrong; logs of what went well are not looked through."""
    if isinstance(log.source, Artifact) or log.step.result not in log_errors.LOOKED_AT:
        return []
    return sorted(each.line for each in log_errors.errors_of(session, log.source.id))


def manner_of(log: Log, sought: Sought, times: str, errors: Collection[int]) -> Manner:
    pattern, _ = logview.pattern_of(sought)
    return Manner(log.titles, log.began_ms, times, frozenset(errors), pattern)


def live_from(session: Session, log: Log, shown: Shown) -> Mapping[str, int]:
    """The first line that is not complete, and its number."""
    end = shown.end
    if end is None and shown.total:
        [end] = log_reading.lines(session, log.source, shown.total, 1)
    if end is not None and end.is_open:
        return {"offset": end.offset, "line": end.number}
    return {"offset": shown.size_bytes, "line": shown.total + 1}


def find(session: Session, log_id: UUID) -> Log:
    source = log_places.source(session, log_id)
    return Log(source, source.step, queries.commands_of(session, [source.step_id]))
