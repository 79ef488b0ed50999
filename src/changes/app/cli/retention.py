"""changes pin | unpin | retention: what is kept, and for how long."""

from typing import Annotated, Any

import typer

from changes.app.cli import server as servers
from changes.app.cli.asking import AsJson
from changes.app.cli.output import say, say_json, table, tell

MEGABYTE = 2**20
BuildId = Annotated[str, typer.Argument(metavar="ID", help="Id of a build.")]


def add_to(app: typer.Typer) -> None:
    app.command()(pin)
    app.command()(unpin)
    app.command()(retention)


def pin(build_id: BuildId, as_json: AsJson = False) -> None:
    """Keep a build with the runs of its tests until it is unpinned."""
    kept = servers.connect().post(f"/builds/{build_id}/pin/")
    tell(f"Build {kept['project']['slug']} #{kept['number']} is kept.")
    if as_json:
        say_json(kept)


def unpin(build_id: BuildId, as_json: AsJson = False) -> None:
    """Keep a build only as long as others are."""
    kept = servers.connect().post(f"/builds/{build_id}/unpin/")
    tell(f"Build {kept['project']['slug']} #{kept['number']} is kept as long as others are.")
    if as_json:
        say_json(kept)


def retention(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what is older than it is kept, and let it go now."""
    asked = servers.connect()
    found = asked.get("/retention/")
    if as_json:
        say_json(found)
    else:
        show(found)
    is_something = bool(found["months"]) or any(each["items"] for each in found["kinds"])
    if is_something and not dry_run:
        asked.post("/retention/")
        tell("It is being done.")


def show(found: dict[str, Any]) -> None:
    gone = [each for each in found["kinds"] if each["items"]]
    if gone:
        kinds = [
            (
                each["kind"],
                f"{each['items']} or more" if each.get("isMore") else each["items"],
                megabytes(each["bytesBack"]),
            )
            for each in gone
        ]
        table(["WHAT", "GONE", "MB BACK"], kinds)
    if found["months"]:
        rows = [
            (each["month"], each["way"], each["runsGone"], each["runsKept"], megabytes(each["bytesBack"]))
            for each in found["months"]
        ]
        table(["MONTH", "HOW", "RUNS GONE", "RUNS KEPT", "MB BACK"], rows)
    if not gone and not found["months"]:
        say("Nothing is older than it is kept.")


def megabytes(size_bytes: int) -> str:
    return f"{size_bytes / MEGABYTE:,.1f}"
