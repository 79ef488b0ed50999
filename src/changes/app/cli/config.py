"""changes config: is `.changes.yml` right, and what would run for this tree. Needs no server."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from changes.app.cli import trying_git, trying_tools
from changes.app.cli.asking import AsJson
from changes.app.cli.output import REFUSED, WRONG_USAGE, fail, say, say_json

config = typer.Typer(no_args_is_help=True, help="What stands in .changes.yml.")
FROM_STDIN = "-"
NAME = ".changes.yml"
SIZE_MAX_BYTES = 1024 * 1024
EVENTS = ("commit", "diff", "schedule", "hook", "project", "manual")
File = Annotated[str, typer.Argument(help="The file, - for standard input; else that of this tree.")]


def add_to(app: typer.Typer) -> None:
    app.add_typer(config, name="config")


@config.command()
def check(file: File = "", as_json: AsJson = False) -> None:
    """Say everything that is wrong with the file; 0 when nothing is."""
    from changes.builds import config_reading

    read = config_reading.read(text_of(file))
    if as_json:
        say_json({"isRight": not read.problems, "problems": read.problems})
    elif read.problems:
        for problem in read.problems:
            say(problem)
    else:
        say(f"{NAME} is right: {', '.join(plan.name for plan in read.plans) or 'no plans'}.")
    if read.problems:
        raise typer.Exit(REFUSED)


@config.command()
def explain(
    file: File = "",
    event: Annotated[str, typer.Option(help=f"One of {', '.join(EVENTS)}.")] = "commit",
    branch: Annotated[str, typer.Option(help="Else the one that is checked out.")] = "",
    as_json: AsJson = False,
) -> None:
    """Tell which plans would run for this tree as it stands, and why the others would not."""
    from changes.builds import config_reading, triggers_rules

    if event not in EVENTS:
        fail(f"--event is one of {', '.join(EVENTS)}.", WRONG_USAGE)
    read = config_reading.read(text_of(file))
    if read.problem:
        fail(read.problem, REFUSED)
    branches = (branch or branch_here(),)
    what = triggers_rules.Occasion(
        triggers_rules.Kind(event), tuple(filter(None, branches)), files=files_here()
    )
    plans = [told(plan) for plan in config_reading.explained(read, what).plans]
    if as_json:
        say_json(plans)
        return
    for plan in plans:
        say(f"{plan['name']}: {'runs' if plan['isRun'] else 'is left out'}. {plan['why']}")
        for name in ("needs", "owners"):
            if plan[name]:
                say(f"  {name}: {', '.join(plan[name])}")
        for line in [*(label for step in plan["steps"] for label in step), *plan["problems"]]:
            say(f"  {line}")


def told(plan: Any) -> dict[str, Any]:
    from changes.builds import triggers_rules

    return {
        "name": plan.name,
        "isRun": plan.verdict.is_wanted,
        "why": triggers_rules.sentence(plan.verdict.why, plan.verdict.facts),
        "needs": list(plan.terms.needs),
        "owners": list(plan.terms.owners),
        "steps": plan.commands,
        "problems": plan.problems,
    }


def text_of(file: str) -> str:
    path = Path(file) if file else trying_tools.top_of(Path.cwd())[1] / NAME
    try:
        if file == FROM_STDIN:
            data = sys.stdin.buffer.read(SIZE_MAX_BYTES)
        else:
            with path.open("rb") as opened:
                data = opened.read(SIZE_MAX_BYTES)
    except OSError as error:
        fail(f"{path} cannot be read: {error.strerror}", WRONG_USAGE)
    return data.decode("utf-8", "replace")


def branch_here() -> str:
    tool, top = trying_tools.top_of(Path.cwd())
    words = ("git", "symbolic-ref", "--short", "-q", "HEAD") if tool == "git" else ("hg", "branch")
    return trying_tools.line(trying_tools.run(top, *words).stdout)


def files_here() -> tuple[str, ...] | None:
    """What differs from what was pushed; None where that is not known."""
    tool, top = trying_tools.top_of(Path.cwd())
    if tool != "git":
        return None
    refs = trying_tools.line(
        trying_tools.run(top, "git", "for-each-ref", "--format=%(objectname)", "refs/remotes/").stdout
    )
    base = trying_tools.run(top, "git", "merge-base", "HEAD", *sorted(set(refs.splitlines())))
    if not refs or base.returncode != 0:
        return None
    return tuple(trying_git.changed_files(top, trying_tools.line(base.stdout)))
