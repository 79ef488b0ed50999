"""changes wait: stay until a build, or all that was asked for together, has ended."""

from typing import Annotated, Any

import typer

from changes.app.cli import server as servers
from changes.app.cli.asking import WAIT_S, AsJson, follow, verdict
from changes.app.cli.output import REFUSED, say, say_json, tell
from changes.app.cli.server import Server


def add_to(app: typer.Typer) -> None:
    app.command("wait")(wait)


def wait(
    build_id: Annotated[str, typer.Argument(help="A build.")],
    collection: Annotated[
        bool, typer.Option("--collection", help="For all builds that the same request asked for.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Stay until a build is finished; the exit code is its verdict."""
    asked = Server(servers.connect().login, servers.PATIENT)
    if collection:
        each = follow_all(asked, asked.get(f"/builds/{build_id}/")["collection_id"])
    else:
        each = follow(asked, build_id)
    say_json(each) if as_json else say(each["result"]["id"])
    if each["result"]["id"] != "passed":
        raise typer.Exit(REFUSED)


def follow_all(asked: Server, collection_id: str) -> dict[str, Any]:
    """Tells of each build when its state changes."""
    last: dict[str, str] = {}
    wait_s = 0
    while True:
        each: dict[str, Any] = asked.get(f"/collections/{collection_id}/", wait_s=wait_s)
        for build in each["builds"]:
            said = f"{build['project']['slug']} {verdict(build)}"
            if last.get(build["id"]) != said:
                last[build["id"]] = said
                tell(said)
        if each["status"]["id"] == "finished":
            return each
        wait_s = WAIT_S
