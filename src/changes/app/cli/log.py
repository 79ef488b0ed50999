"""changes log: what steps print, whole or in part, while they do, and the lines in it that match."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

import typer

from changes.app.cli import server as servers
from changes.app.cli.output import REFUSED, WRONG_USAGE, fail, tell
from changes.app.cli.server import NOT_FOUND, Server, refuse
from changes.app.cli.trying_following import Follower

CONSOLE = "console"
FOUND_AT_ONCE = 1000


def add_to(app: typer.Typer) -> None:
    app.command()(log)


@dataclass(frozen=True)
class Step:
    """Of several, each line says of which it is."""

    id: str
    label: str = ""


def log(
    of: Annotated[
        str, typer.Argument(metavar="ID", help="Id of a step, or of a build for all of its steps.")
    ],
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="Go on until the step or build ends.")
    ] = False,
    lines: Annotated[
        str, typer.Option(metavar="10-20", help="Only these lines; 10- is 10 and what follows.")
    ] = "",
    tail: Annotated[int, typer.Option(metavar="N", min=0, help="Only the last so many lines.")] = 0,
    grep: Annotated[str, typer.Option(metavar="RE", help="Only lines that match; with their numbers.")] = "",
    ignore_case: Annotated[bool, typer.Option("-i", "--ignore-case", help="For --grep.")] = False,
    stream: Annotated[str, typer.Option("--stream", "--name", help="Which log of the step.")] = CONSOLE,
) -> None:
    """Print the log of a step, or those of a build."""
    if bool(lines) + bool(tail) + bool(grep) > 1 or (follow and (lines or grep)):
        fail("Choose one of --lines, --tail and --grep; only --tail can be followed.", WRONG_USAGE)
    asked = servers.connect()
    is_step = asked.send("GET", f"/jobsteps/{quote(of, safe='')}/", None, {}).status != NOT_FOUND
    if follow and not is_step:
        if tail or stream != CONSOLE:
            fail("Of a build the consoles are followed, each from its start.", WRONG_USAGE)
        follow_build(asked, of)
        return
    found = False
    for step in [Step(of)] if is_step else steps_of(asked, build_of(asked, of), stream):
        if grep:
            found |= show_matches(asked, step, stream, {"q": grep, "regex": 1, "case": int(not ignore_case)})
        else:
            show(step, asked.stream(path_of(step, stream), **part(follow=follow, lines=lines, tail=tail)))
    if grep and not found:
        raise typer.Exit(REFUSED)


def follow_build(asked: Server, of: str) -> None:
    """Of all its steps, also of those that are still to come."""
    build_of(asked, of)
    Follower(asked, of).follow()


def build_of(asked: Server, of: str) -> dict[str, Any]:
    answer = asked.send("GET", f"/builds/{quote(of, safe='')}/", None, {})
    if answer.status == NOT_FOUND:
        fail("There is neither a step nor a build with this id.", WRONG_USAGE)
    refuse(answer.status, answer.body)
    build: dict[str, Any] = answer.data
    return build


def steps_of(asked: Server, build: dict[str, Any], stream: str) -> list[Step]:
    """Those that have such a log, without attempts that were made again."""
    found = [
        (job["name"], step)
        for job in build["jobs"]
        for phase in asked.get(f"/jobs/{job['id']}/phases/")
        for step in phase["steps"]
    ]
    old = {step["id"] for _, step in found if step["replacement_id"] not in (None, step["id"])}
    steps = [
        Step(step["id"], name)
        for name, step in found
        if step["id"] not in old and any(log["name"] == stream for log in step["logSources"])
    ]
    return [Step(steps[0].id)] if len(steps) == 1 else steps


def path_of(step: Step, stream: str) -> str:
    return f"/jobsteps/{step.id}/logs/{quote(stream, safe='')}/"


def part(*, follow: bool, lines: str, tail: int) -> dict[str, object]:
    query: dict[str, object] = {"follow": 1} if follow else {"format": "text"}
    if lines:
        query["lines"] = lines
    elif tail:
        query["tail"] = tail
    else:
        query["offset"] = 0
    return query


def show(step: Step, pieces: Iterator[bytes]) -> None:
    """Byte for byte; of several steps line by line."""
    rest = b""
    for piece in pieces:
        if step.label:
            *whole, rest = (rest + piece).split(b"\n")
            write(*(b"%s | %s\n" % (step.label.encode(), line) for line in whole))
        else:
            write(piece)
    if rest:
        write(b"%s | %s\n" % (step.label.encode(), rest))


def write(*pieces: bytes) -> None:
    sys.stdout.buffer.write(b"".join(pieces))
    sys.stdout.buffer.flush()


def show_matches(asked: Server, step: Step, stream: str, wanted: dict[str, Any]) -> bool:
    after, is_complete, is_any = 0, False, False
    label = f"{step.label} | " if step.label else ""
    while not is_complete:
        found = asked.get(f"{path_of(step, stream)}search/", **wanted, after=after, limit=FOUND_AT_ONCE)
        for line in found["lines"]:
            is_any = True
            write(f"{label}{line['number']}:{line['text']}\n".encode(errors="replace"))
        is_complete = found["isComplete"]
        if not is_complete and found["searchedTo"] <= after:
            tell(f"The search was given up at line {after}.")
            return is_any
        after = found["searchedTo"]
    return is_any
