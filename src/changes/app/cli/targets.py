"""changes targets: what became of the targets of Bazel that a build names."""

from typing import Annotated, Any

import typer

from changes.app.cli import server as servers
from changes.app.cli.asking import AsJson
from changes.app.cli.output import say, say_json, table

PER_PAGE = 100
RUN_BY = {"from_self": "this build", "from_parent": "an earlier build"}


def add_to(app: typer.Typer) -> None:
    app.command()(targets)


def targets(
    build_id: Annotated[str, typer.Argument(metavar="BUILD", help="Id of a build.")],
    query: Annotated[str | None, typer.Option(help="Only those with this in their name.")] = None,
    result: Annotated[str | None, typer.Option(help="Only those that ended so, such as failed.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the targets of Bazel of a build by name: what each came to, who ran it, and why or why not."""
    found = every_page(servers.connect(), f"/builds/{build_id}/targets/", query=query, result=result)
    if as_json:
        say_json(found)
    elif not found:
        say("No target is like that." if query or result else "No targets of Bazel.")
    else:
        table(["TARGET", "RESULT", "RUN BY", "MS", "WHY"], [row_of(each) for each in found])


def every_page(asked: servers.Server, path: str, **query: str | None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    page = 1
    while True:
        part = asked.get(path, sort="name", page=page, per_page=PER_PAGE, **query)
        found += part
        if len(part) < PER_PAGE:
            return found
        page += 1


def row_of(each: dict[str, Any]) -> tuple[object, ...]:
    ran = each["step"] is not None or each["resultSource"]["id"] != "from_self"
    words = " ".join(message["text"].replace("\n", " ") for message in each["messages"])
    by = RUN_BY[each["resultSource"]["id"]] if ran else "nobody"
    duration = "" if each["duration"] is None else each["duration"]
    return each["name"], each["result"]["id"], by, duration, words
