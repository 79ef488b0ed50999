"""changes find-origin: which commit broke a test."""

import time
import uuid
from typing import Annotated, Any

import typer

from changes.app.cli import server as servers
from changes.app.cli.asking import AsJson
from changes.app.cli.output import REFUSED, say, say_json, tell

LOOK_EVERY_S = 2.0


def add_to(app: typer.Typer) -> None:
    app.command("find-origin")(find_origin)


def find_origin(
    slug: Annotated[str, typer.Argument(help="Project.")],
    test: Annotated[str, typer.Argument(help="Full name of the test, or the sha1 of it.")],
    good: Annotated[str, typer.Option(help="A commit at which it passed; else the newest known one.")] = "",
    bad: Annotated[str, typer.Option(help="A commit at which it fails; else the newest known one.")] = "",
    parallel: Annotated[int, typer.Option(help="Builds at once.")] = 2,
    estimate: Annotated[bool, typer.Option("--estimate", help="Only tell what it would cost.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until it is known.")] = False,
    as_json: AsJson = False,
) -> None:
    """Build commits between a good and a bad one until it is known which of them broke a test."""
    asked = servers.connect()
    fields = {"test": test, "good": good, "bad": bad, "parallel": parallel}
    path = f"/projects/{slug}/origins/"
    cost = asked.post(path, {**fields, "estimate": True})
    tell(in_words(cost))
    if estimate:
        if as_json:
            say_json(cost)
        return
    search = asked.post(path, fields, key=uuid.uuid4().hex)
    while wait and search["state"]["id"] == "searching":
        time.sleep(LOOK_EVERY_S)
        search = asked.get(f"/origins/{search['id']}/")
    if as_json:
        say_json(search)
    elif search["state"]["id"] == "searching":
        say(search["id"])
    else:
        say(search["culprit"] or search["why"] or search["state"]["name"].lower())
    if wait and search["culprit"] is None:
        raise typer.Exit(REFUSED)


def in_words(cost: dict[str, Any]) -> str:
    between = f"between {cost['good'][:12]}, where it passed, and {cost['bad'][:12]}, where it failed"
    if cost["isKnown"]:
        return f"Nothing is to be built {between}."
    if cost["whyNot"]:
        return str(cost["whyNot"])
    minutes = f", about {cost['minutes']:.0f} minutes of machines" if cost["minutes"] is not None else ""
    unknown = f"{cost['unknown']} of {cost['commits']} commits are not known {between}"
    again = f"what machines lose is built again, at most {cost['againWhereLost']} times each, on top of that"
    return f"{unknown}: at most {cost['builds']} builds{minutes}; {again}."
