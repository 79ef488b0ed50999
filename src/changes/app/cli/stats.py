"""changes stats: how much was built, how green, how long it took and waited."""

from typing import Annotated, Any

import typer

from changes.app.cli import server as servers
from changes.app.cli.asking import AsJson
from changes.app.cli.output import say, say_json, table, tell

PERCENT = 100
COLUMNS = ("COUNT", "PASSED", "HALF", "95 OF 100", "WAITED, HALF", "WAITED, 95 OF 100")
HEADS = {"days": "DAY", "plans": "PLAN", "nodes": "MACHINE"}


def add_to(app: typer.Typer) -> None:
    app.command()(stats)


def stats(
    project: Annotated[str, typer.Argument(metavar="PROJECT", help="Without it, of all projects.")] = "",
    days: Annotated[int, typer.Option(help="So many days back.")] = 30,
    of: Annotated[str, typer.Option(help="commits or patches; without it, all builds.")] = "",
    lines: Annotated[
        str, typer.Option("--table", help="days, plans (of a project) or nodes (of all).")
    ] = "days",
    as_csv: Annotated[bool, typer.Option("--csv", help="As a file for spreadsheets.")] = False,
    as_json: AsJson = False,
) -> None:
    """How much was built, how green, how long it took and waited to begin."""
    where = f"/projects/{project}/statistics/" if project else "/statistics/"
    server = servers.connect()
    if as_csv:
        asked = server.stream(where, days=days, of=of, format="csv", table=lines)
        say(b"".join(asked).decode().rstrip().replace("\r\n", "\n"))
        return
    found = server.get(where, days=days, of=of)
    if as_json:
        say_json(found)
        return
    tell(f"{told(found['total'])} in {days} days")
    table(
        [HEADS.get(lines, "NAME"), *COLUMNS], [row_of(each) for each in found.get(lines, []) if each["count"]]
    )


def row_of(each: dict[str, Any]) -> tuple[object, ...]:
    times = (each[name] for name in ("durationP50", "durationP95", "queuedP50", "queuedP95"))
    name = each.get("name") or each.get("day", "")
    return (name, each["count"], share(each["passRate"]), *map(seconds, times))


def told(total: dict[str, Any]) -> str:
    return f"{total['count']} builds, {share(total['passRate'])} passed,"


def share(part: float | None) -> str:
    return "-" if part is None else f"{part * PERCENT:.1f} %"


def seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"
