"""changes infra | tasks: what the machinery lost, and the work that happens in the background."""

from typing import Annotated, Any

import typer

from changes.app.cli import server as servers
from changes.app.cli.asking import AsJson
from changes.app.cli.output import WRONG_USAGE, fail, minute_of, say, say_json, table, tell

GIVEN_UP_SHOWN = 25


def add_to(app: typer.Typer) -> None:
    app.command()(infra)
    app.command()(tasks)


def infra(
    hours: Annotated[int, typer.Option(help="How far back.", min=1, max=720)] = 24,
    node: Annotated[str | None, typer.Option(help="Only what this machine lost.")] = None,
    reason: Annotated[str | None, typer.Option(help="Only for this reason, such as agent_lost.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show which steps the machinery lost lately, by machine and reason."""
    found = servers.connect().get("/infra_failures/", hours=hours, node=node, reason=reason)
    if as_json:
        say_json(found)
        return
    if not found["groups"]:
        say("Nothing was lost.")
        return
    groups = [
        (named(each["node"]), each["reason"], each["count"], minute_of(each["dateNewest"]))
        for each in found["groups"]
    ]
    table(["NODE", "REASON", "STEPS", "NEWEST (UTC)"], groups)
    for each in found["recent"]:
        build = each["build"]
        say(f"{each['id']}  {build['project']} #{build['number']}  {each['text']}")


def named(node: dict[str, Any] | None) -> str:
    return node["name"] if node else "no machine"


def tasks(
    again: Annotated[str | None, typer.Option(metavar="ID", help="Try one again that was given up.")] = None,
    forget: Annotated[str | None, typer.Option(metavar="ID", help="Forget one that was given up.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the work in the background: how much is to be done, and what was given up."""
    if again and forget:
        fail("Either --again or --forget.", WRONG_USAGE)
    asked = servers.connect()
    if forget:
        asked.ask("DELETE", f"/tasks/{forget}/")
        tell("It is forgotten.")
        return
    if again:
        task = asked.post(f"/tasks/{again}/again/")
        say_json(task) if as_json else tell(f"{task['name']} is tried again.")
        return
    show(
        asked.get("/task_stats/"),
        asked.get("/tasks/", state="failed", per_page=GIVEN_UP_SHOWN),
        as_json=as_json,
    )


def show(statistics: dict[str, Any], given_up: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        say_json({"stats": statistics, "givenUp": given_up})
        return
    rows = [
        (name, state, each["count"], each["max_retries"], minute_of(each["oldest_created_time"]))
        for name, states in sorted(statistics.items())
        for state, each in sorted(states.items())
        if "all" not in (name, state)
    ]
    if rows:
        table(["TASK", "STATE", "TASKS", "ATTEMPTS", "OLDEST (UTC)"], rows)
    elif not given_up:
        say("Nothing is to be done, and nothing was given up.")
    for each in given_up:
        say(f"given up: {each['id']}  {each['name']}  {each['error'] or ''}")
