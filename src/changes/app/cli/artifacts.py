"""changes artifacts | disk: what a build left behind, and how much room there is."""

import hashlib
from pathlib import Path
from typing import Annotated, Any

import typer

from changes.app.cli import server as servers
from changes.app.cli.asking import AsJson
from changes.app.cli.output import fail, say, say_json, table, tell
from changes.app.cli.server import Server

PER_PAGE = 100
GIGABYTE = 10**9


def add_to(app: typer.Typer) -> None:
    app.command()(artifacts)
    app.command()(disk)


def artifacts(
    build_id: Annotated[str, typer.Argument(metavar="ID", help="Id of a build.")],
    name: Annotated[str, typer.Option(help="Only those whose name has this in it.")] = "",
    download: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Fetch them into this folder, and check their digests.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a build left behind, or fetch it."""
    asked = servers.connect()
    found = all_of(asked, build_id, name)
    if download is None:
        say_json(found) if as_json else show(found)
        return
    steps = {each["jobstep"]["id"] for each in found}
    for each in found:
        # The same name in two steps are two files.
        folder = download / each["jobstep"]["id"] if len(steps) > 1 else download
        fetch(asked, each, folder)
    tell(f"Fetched {len(found)} files into {download}.")


def all_of(asked: Server, build_id: str, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        page = len(found) // PER_PAGE + 1
        part = asked.get(f"/builds/{build_id}/artifacts/", name=name, page=page, per_page=PER_PAGE)
        found += part
        if len(part) < PER_PAGE:
            return found


def show(found: list[dict[str, Any]]) -> None:
    if not found:
        say("Nothing was left behind.")
        return
    rows = [(each["size"], each["sha256"][:12], state_of(each), printable(each["name"])) for each in found]
    table(["BYTES", "SHA-256", "STATE", "NAME"], rows)


def state_of(each: dict[str, Any]) -> str:
    return f"removed {each['dateRemoved'][:10]}" if each["dateRemoved"] else "here"


def printable(name: str) -> str:
    """A name may hold what a terminal obeys."""
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in name)


def fetch(asked: Server, each: dict[str, Any], folder: Path) -> None:
    """Whole or not at all; never outside of the folder, whatever it is called."""
    name = printable(each["name"])
    if each["dateRemoved"]:
        tell(f"{name} is not there any more.")
        return
    target = folder / each["name"].lstrip("/")
    if not target.resolve().is_relative_to(folder.resolve()):
        fail(f"{name} would lie outside of {folder}.")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name[:200]}.part")
    digest = hashlib.sha256()
    with partial.open("wb") as file:
        for chunk in asked.stream(f"/artifacts/{each['id']}/content/"):
            digest.update(chunk)
            file.write(chunk)
    if digest.hexdigest() != each["sha256"]:
        partial.unlink()
        fail(f"{name} arrived with another digest.")
    partial.replace(target)
    tell(name)


def disk(as_json: AsJson = False) -> None:
    """Show how much room there is, where the bytes are, and whether steps are handed out."""
    found = servers.connect().get("/disk/")
    if as_json:
        say_json(found)
        return
    say(f"Paused: {found['why']}." if found["isPaused"] else "Steps are handed out.")
    rows = [
        (
            each["folder"],
            gigabytes(each["free_bytes"]),
            gigabytes(each["total_bytes"]),
            gigabytes(each["free_min_bytes"]),
        )
        for each in found["places"]
    ]
    if not rows:
        say("Nothing is measured yet: a worker looks every 15 seconds.")
        return
    table(["DISK", "GB FREE", "OF", "LIMIT"], rows)
    if found["kinds"]:
        table(["WHAT", "GB"], [(each["kind"], gigabytes(each["bytes"])) for each in found["kinds"]])


def gigabytes(size_bytes: int) -> str:
    return f"{size_bytes / GIGABYTE:,.2f}"
