"""changes why-failed: what went wrong in a build, by its reasons and by the lines of its logs."""

from typing import Annotated, Any

import typer

from changes.app.cli import server as servers
from changes.app.cli.asking import AsJson, verdict
from changes.app.cli.output import say, say_json

LINES_SHOWN = 20


def add_to(app: typer.Typer) -> None:
    app.command("why-failed")(why_failed)


def why_failed(
    build_id: Annotated[str, typer.Argument(metavar="ID", help="Id of a build.")],
    as_json: AsJson = False,
) -> None:
    """Tell why a build is not green: its reasons, and the lines of its logs that say most."""
    asked = servers.connect()
    build = asked.get(f"/builds/{build_id}/")
    lines = asked.get(f"/builds/{build_id}/errors/", per_page=LINES_SHOWN)
    if as_json:
        say_json({"failures": build["failures"], "errors": lines})
        return
    say(f"{build['project']['slug']} {verdict(build)}  {build['target']}  {build['name']}")
    for why in build["failures"]:
        say(f"  {why['text']}")
    place = None
    for line in lines:
        here = f"{line['job']['name']}, {line['step']['name']}, {line['log']['name']}"
        if here != place:
            place = here
            say(f"  {here}:")
        say(f"    {line['line']}: {line['text']}  [{known(line)}]")


def known(line: dict[str, Any]) -> str:
    others = line["error"]["builds"] - 1
    seen = "new" if line["isNew"] else f"seen in {others} other build{'' if others == 1 else 's'}"
    note = f"; {line['error']['note']}" if line["error"]["note"] else ""
    return f"{seen}{note}"
