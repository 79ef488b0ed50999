"""changes why-built: why a commit was built, or why not."""

from typing import Annotated

import typer

from changes.app.cli import server as servers
from changes.app.cli.asking import AsJson
from changes.app.cli.output import say, say_json


def add_to(app: typer.Typer) -> None:
    app.command("why-built")(why_built)


def why_built(
    slug: Annotated[str, typer.Argument(help="Project.")],
    sha: Annotated[str, typer.Argument(help="Commit, or the beginning of its sha.")],
    as_json: AsJson = False,
) -> None:
    """Tell for each plan of a project why a commit was built, or why not."""
    told = servers.connect().get(f"/projects/{slug}/why-built/{sha}/")
    if as_json:
        say_json(told)
        return
    for each in told["decisions"]:
        build = f"build #{each['build']['number']}" if each["build"] else "not built"
        if each["isBuilt"] and not each["build"]:
            build = "built"
        say(f"{told['sha'][:12]} {each['kind']}: {build}. {each['why']}")
        for plan in each["plans"]:
            say(f"  {plan['name']}: {'run' if plan['isRun'] else 'left out'}. {plan['why']}")
