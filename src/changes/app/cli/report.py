"""changes report: tells a server of a build that runs, or ran, in some other CI."""

import shlex
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
import urllib3

from changes.app.cli import report_files, surroundings, telling, wrapped
from changes.app.cli import server as servers
from changes.app.cli.asking import AsJson
from changes.app.cli.output import REFUSED, WRONG_USAGE, fail, say, say_json, tell
from changes.app.cli.report_files import Wanted
from changes.app.cli.server import Answer, Server
from changes.app.cli.surroundings import Surroundings
from changes.app.cli.telling import Feed, Part
from changes.app.cli.wrapped import Ended
from changes.protocol import CONSOLE

STDIN = "-"
DEFAULT_JOB = "build"


class ResultName(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    INFRA_FAILED = "infra_failed"
    ABORTED = "aborted"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Told:
    """What is known before anything is asked of the server."""

    fields: dict[str, object]
    wanted: Wanted
    logs: list[str]


def add_to(app: typer.Typer) -> None:
    app.command()(report)


Repeated = list[str]


def report(
    project: Annotated[str, typer.Option(help="Whose build it is.", envvar="CHANGES_PROJECT")],
    command: Annotated[list[str] | None, typer.Argument(help="-- and a command to run.")] = None,
    sha: Annotated[str, typer.Option(help="The commit; otherwise what the CI or git says.")] = "",
    branch: Annotated[str, typer.Option(help="The branch it is on.")] = "",
    author: Annotated[str, typer.Option(help="Name <name@example.com>")] = "",
    label: Annotated[str, typer.Option(help="What the build is called.")] = "",
    name: Annotated[str, typer.Option(help="Which part of the build this is.")] = "",
    of: Annotated[Repeated | None, typer.Option(help="Name of another part of the same build.")] = None,
    url: Annotated[str, typer.Option(help="Where people can look at it.")] = "",
    external_id: Annotated[str, typer.Option(help="The same id is the same build.")] = "",
    result: Annotated[ResultName | None, typer.Option(help="Otherwise the test reports decide.")] = None,
    failure: Annotated[str, typer.Option(help="Why it is not green, in words.")] = "",
    junit: Annotated[Repeated | None, typer.Option(help="Test report; a quoted pattern.")] = None,
    coverage: Annotated[Repeated | None, typer.Option(help="Coverage report; a quoted pattern.")] = None,
    artifact: Annotated[Repeated | None, typer.Option(help="Any file; a quoted pattern.")] = None,
    log: Annotated[Repeated | None, typer.Option(help="What was printed; - reads it from here.")] = None,
    as_json: AsJson = False,
) -> None:
    """Report a build that another CI runs: its verdict, tests, coverage, logs and files.

    With a command behind -- it runs that, shows and reports what it prints while it runs, and ends
    with its exit code.
    """
    found = surroundings.find(folder=Path.cwd(), sha=sha)
    if not found.sha:
        fail("No commit is known: --sha, or run it inside a git checkout.", WRONG_USAGE)
    fields = what_to_tell(found, name=name, of=of or [], external_id=external_id)
    given = {"branch": branch, "author": author, "label": label, "url": url}
    fields |= {key: value for key, value in given.items() if value} | {"project": project}
    told = Told(fields, Wanted(junit or (), coverage or (), artifact or ()), log or [])
    server = Server(servers.find_login(), servers.INSISTENT)
    if command:
        refuse_odd_command(result)
        raise typer.Exit(run_and_report(server, told, command))
    made = report_what_is_there(server, told, result.value if result else None, failure)
    say_json(made) if as_json else say(made["id"])


def what_to_tell(found: Surroundings, *, name: str, of: list[str], external_id: str) -> dict[str, object]:
    job = name or found.job or DEFAULT_JOB
    # One run may have many jobs, each of which is a build of its own unless they were named together.
    run = found.run if of else f"{found.run} {job}"
    return {
        "sha": found.sha,
        "branch": found.branch,
        "author": found.author,
        "message": found.message,
        "url": found.url,
        "job": job,
        "jobs": of,
        "external_id": external_id or (run if found.run else uuid.uuid4().hex),
    }


def refuse_odd_command(result: ResultName | None) -> None:
    if "--" not in sys.argv:
        text = "A command stands behind --, and a pattern in quotes: --junit 'build/*.xml' -- make test"
        fail(text, WRONG_USAGE)
    if result is not None:
        fail("The exit code of the command is the result; leave --result out.", WRONG_USAGE)


# --- what is there already ----------------------------------------------------------------


def report_what_is_there(server: Server, told: Told, result: str | None, failure: str) -> dict[str, Any]:
    if result is None and not told.wanted.junit:
        fail("Say how it ended: --result, or --junit with its test reports.", WRONG_USAGE)
    found = report_files.find(told.wanted, missing=refuse_missing)
    # Before a build is begun that nobody could end.
    refuse_unreadable([*(Path(path) for path in told.logs if path != STDIN), *(file.path for file in found)])
    with reaching(server):
        part = Part(server, checked(telling.begin(server, told.fields)).data)
        lost: list[str] = []
        if part.is_over:
            tell("It was reported before.")
        else:
            send_logs(part, told.logs)
            lost = send_files(part, found)
        checked(part.report(status="finished", **verdict(result, failure, lost)))
    tell(f"Reported as {told.fields['project']} #{part.build['number']} {part.build['link']}")
    if lost:
        fail(f"The server did not take {', '.join(lost)}.", REFUSED)
    return part.build


def verdict(result: str | None, failure: str, lost: list[str]) -> dict[str, object]:
    """Without all of its reports nobody can say that it passed."""
    if result is None and lost:
        return {"result": "infra_failed", "failure": f"The server did not take {', '.join(lost)}."}
    return {"result": result, "failure": failure or None}


def send_logs(part: Part, paths: list[str]) -> None:
    for number, path in enumerate(paths):
        if path == STDIN:
            checked(part.append_all(CONSOLE, telling.chunks_of(sys.stdin.buffer)))
        else:
            checked(send_log(part, Path(path), number))


def send_log(part: Part, path: Path, number: int) -> Answer:
    with path.open("rb") as file:
        return part.append_all(report_files.log_name(path, number, CONSOLE), telling.chunks_of(file))


def send_files(part: Part, found: list[report_files.File]) -> list[str]:
    """The names of what the server did not take."""
    lost = []
    for file in found:
        answer = part.put(file.name, file.path)
        if answer.is_refusal:
            tell(f"changes: {file.path}: {answer.error}")
            lost.append(file.name)
    return lost


def refuse_missing(pattern: str) -> NoReturn:
    fail(f"There is no file {pattern}.", WRONG_USAGE)


def refuse_unreadable(paths: list[Path]) -> None:
    for path in paths:
        if trouble := report_files.trouble_with(path):
            fail(trouble, WRONG_USAGE)


def checked(answer: Answer) -> Answer:
    servers.refuse(answer.status, answer.body)
    return answer


@contextmanager
def reaching(server: Server) -> Iterator[None]:
    try:
        yield
    except urllib3.exceptions.HTTPError as error:
        servers.unreachable(server.login.url, error)


# --- what runs now ------------------------------------------------------------------------


def run_and_report(server: Server, told: Told, command: list[str]) -> int:
    """The command's own exit code, whatever becomes of the report of it."""
    part = part_of(server, told)
    if part is None:
        return said(wrapped.run(command, ignore)).return_code
    with tempfile.TemporaryFile() as spool:
        feed = Feed(part, CONSOLE, spool)
        feed.start()
        ended = said(wrapped.run(command, feed.write))
        feed.finish()
    if not feed.is_refused:
        with not_mattering():
            end_part(part, told, command, ended)
    return ended.return_code


def part_of(server: Server, told: Told) -> Part | None:
    """None when nobody is there to tell it to, or wants to hear it: a build must not fail because of that."""
    try:
        answer = telling.begin(server, told.fields)
    except urllib3.exceptions.HTTPError:
        tell(f"changes: {server.login.url} does not answer, so this is not reported")
        return None
    if answer.is_refusal:
        tell(f"changes: this is not reported: {answer.error}")
        return None
    part = Part(server, answer.data)
    tell(f"Reported as {told.fields['project']} #{part.build['number']} {part.build['link']}")
    if part.is_over:
        tell("changes: this part was reported before; what runs now needs another --external-id")
        return None
    return part


def end_part(part: Part, told: Told, command: list[str], ended: Ended) -> None:
    files = report_files.find(told.wanted, missing=tell_missing)
    # The console is what the command printed.
    for number, path in enumerate(readable([Path(path) for path in told.logs if path != STDIN]), start=1):
        answer = send_log(part, path, number)
        if answer.is_refusal:
            tell(f"changes: {path}: {answer.error}")
    kept = readable([file.path for file in files])
    send_files(part, [file for file in files if file.path in kept])
    ran = {
        "name": wrapped.name_of(command),
        "script": shlex.join(command),
        "return_code": ended.return_code,
        "duration_ms": ended.duration_ms,
    }
    result = "failed" if ended.return_code else "passed"
    answer = part.report(status="finished", result=result, failure=ended.trouble or None, commands=[ran])
    if answer.is_refusal:
        tell(f"changes: its end was not reported: {answer.error}")


def readable(paths: list[Path]) -> list[Path]:
    """The others are told of, and left out."""
    found = []
    for path in paths:
        if trouble := report_files.trouble_with(path):
            tell(f"changes: {trouble}")
        else:
            found.append(path)
    return found


@contextmanager
def not_mattering() -> Iterator[None]:
    try:
        yield
    except urllib3.exceptions.HTTPError as error:
        tell(f"changes: its end was not reported: {type(error).__name__}")


def said(ended: Ended) -> Ended:
    if ended.trouble:
        tell(f"changes: {ended.trouble}")
    return ended


def ignore(_data: bytes) -> None:
    """There is nobody to tell."""


def tell_missing(pattern: str) -> None:
    tell(f"changes: there is no file {pattern}")
