"""The command `changes`. Parts of the server are imported only by the commands that run it."""

from typing import Annotated

import typer

from changes.app.cli import (
    acting,
    admin,
    artifacts,
    asking,
    card,
    config,
    coverage,
    demo,
    doctor,
    flaky,
    kept,
    log,
    original,
    origins,
    queue,
    report,
    repositories,
    reproduce,
    retention,
    running,
    secrets,
    stats,
    targets,
    tests,
    trying,
    upkeep,
    waiting,
    why_built,
    why_failed,
)
from changes.app.cli.output import fail

EXIT_CODES = """
Exit codes: 0 done, or the build passed; 1 the build did not pass, or it failed;
2 wrong usage or a request that makes no sense; 3 the server or database cannot be reached;
4 not allowed.
"""

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog=EXIT_CODES,
    help="Shows the whole life of every change to your code and coordinates the builds that prove it.",
)


@app.callback(invoke_without_command=True)
def about(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if version:
        from importlib.metadata import version as version_of

        typer.echo(f"changes {version_of('changes')}")
        raise typer.Exit


running.add_to(app)
admin.add_to(app)
asking.add_to(app)
log.add_to(app)
artifacts.add_to(app)
waiting.add_to(app)
acting.add_to(app)
card.add_to(app)
report.add_to(app)
doctor.add_to(app)
queue.add_to(app)
upkeep.add_to(app)
original.add_to(app)
repositories.add_to(app)
secrets.add_to(app)
reproduce.add_to(app)
kept.add_to(app)
retention.add_to(app)
trying.add_to(app)
tests.add_to(app)
coverage.add_to(app)
targets.add_to(app)
why_built.add_to(app)
why_failed.add_to(app)
flaky.add_to(app)
stats.add_to(app)
origins.add_to(app)
config.add_to(app)
demo.add_to(app)


def main() -> None:
    try:
        app()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("changes"):
            raise
        fail(f"This needs the server's parts ({error.name} is missing): pip install 'changes[server]'", 2)
