"""What may be said of a build that ran elsewhere, and of how a part of it ended."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from changes.base.errors import Invalid
from changes.builds import outside
from changes.builds.outside_report import CommandTold, Ending
from changes.builds.rules import Result
from changes.web import params
from changes.web.params import Json, OptionalText, Parameters

NAME_MAX, URL_MAX, TEXT_MAX, JOBS_MAX, COMMANDS_MAX = 255, 2000, 65536, 1000, 1000
TAG_MAX = 16
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
Verdict = Literal["passed", "failed", "infra_failed", "aborted", "skipped"]


def printable(text: str) -> str:
    """Names stand in headings and lists: no line breaks, nothing that hides or turns around."""
    if not text.strip() or not text.isprintable():
        raise ValueError("must be some printable characters on one line")
    return text.strip()


def with_zone(at: datetime) -> datetime:
    known = at if at.tzinfo else at.replace(tzinfo=UTC)
    # The first years of all are none that a database and a page can both tell, in every zone.
    if known < BEGINNING:
        raise ValueError(f"must be a time after {BEGINNING:%Y}-01-01")
    return known


def as_files(value: Any) -> Any:
    """One file, some, or their text."""
    given = [] if value is None else value if isinstance(value, list) else [value]
    return [each.encode() if isinstance(each, str) else each for each in given if each]


Name = Annotated[str, Field(max_length=NAME_MAX), AfterValidator(printable)]
JobName = Annotated[str, Field(max_length=outside.LABEL_MAX), AfterValidator(printable)]
Moment = Annotated[datetime, AfterValidator(with_zone)]
OptionalMoment = Annotated[Moment | None, BeforeValidator(params.blank_is_none)]
Files = Annotated[list[bytes], BeforeValidator(as_files)]
JobNames = Annotated[list[JobName], BeforeValidator(params.as_list), Field(max_length=JOBS_MAX)]


class CommandSaid(Parameters):
    name: Name
    script: Annotated[str, Field(max_length=TEXT_MAX)] = ""
    return_code: Annotated[int, Field(ge=-(2**31), lt=2**31)]
    duration_ms: Annotated[int | None, Field(ge=0, le=10**12)] = None


class EndSaid(Parameters):
    result: Annotated[Verdict | None, BeforeValidator(params.blank_is_none)] = None
    failure: Annotated[str, Field(max_length=TEXT_MAX, description="why it is not green, in words")] = ""
    date_started: OptionalMoment = None
    date_finished: OptionalMoment = None
    commands: Annotated[list[CommandSaid], Json, Field(max_length=COMMANDS_MAX)] = []

    def ending(self) -> Ending:
        return Ending(
            result=Result[self.result.upper()] if self.result else None,
            message=self.failure,
            started=self.date_started,
            finished=self.date_finished,
            commands=[CommandTold(**each.model_dump()) for each in self.commands],
        )


class StepSaid(EndSaid):
    """Finished without a result: its test reports decide."""

    status: Literal["in_progress", "finished"]


class BuildSaid(EndSaid):
    """A build that ran elsewhere, or one part of it. The same external_id is the same build."""

    project: Annotated[str, Field(min_length=1)]
    sha: Annotated[str, Field(min_length=1, max_length=NAME_MAX, description="the whole id of the commit")]
    external_id: Name | None = None
    job: Annotated[JobName, Field(description="which part of the build this is about")] = "build"
    jobs: Annotated[JobNames, Field(description="the names of all its parts")] = []
    branch: Annotated[str, Field(max_length=NAME_MAX)] = ""
    label: Annotated[str, Field(max_length=TEXT_MAX)] = ""
    message: Annotated[str, Field(max_length=TEXT_MAX)] = ""
    author: OptionalText = None
    url: Annotated[str, Field(max_length=URL_MAX, description="where people can look at it")] = ""
    tag: Annotated[OptionalText, Field(max_length=TAG_MAX)] = None
    log: Annotated[Files, Field(description="what it printed")] = []
    junit: Annotated[Files, Field(description="test reports")] = []
    coverage: Annotated[Files, Field(description="reports of coverage")] = []

    @property
    def is_ended(self) -> bool:
        return self.result is not None or bool(self.junit)

    def page(self) -> str:
        """It becomes a link, so it must not be one that runs something, or that carries a password."""
        parts = urlsplit(self.url)
        is_odd = not self.url.isprintable() or any(c.isspace() for c in self.url)
        is_page = parts.scheme in {"http", "https"} and parts.hostname and parts.username is None
        if self.url and (is_odd or not is_page):
            raise Invalid("url must be the address of a page: http:// or https://", ["url"])
        return self.url

    def reports(self) -> Iterator[tuple[str, bytes]]:
        """By names under which whoever reads results finds them."""
        for kind, files in (("junit", self.junit), ("coverage", self.coverage)):
            for number, data in enumerate(files, start=1):
                yield f"{kind}.xml" if number == 1 else f"{number}.{kind}.xml", data
