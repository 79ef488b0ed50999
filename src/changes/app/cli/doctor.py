"""changes doctor: says what is wrong with a live system, and what to do."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from changes.app.cli.asking import AsJson
from changes.app.cli.output import REFUSED, say, say_json, tell
from changes.app.cli.programs import known_errors

if TYPE_CHECKING:
    from changes.app.doctor.findings import Finding


def add_to(app: typer.Typer) -> None:
    app.command()(doctor)


def doctor(
    fix: Annotated[bool, typer.Option("--fix", help="Count anew what is miscounted; nothing else.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only what is not well.")] = False,
    as_json: AsJson = False,
) -> None:
    """Examine the system of this machine while it runs; changes nothing without --fix.

    Exit code 1 when something is broken; a warning alone is none.
    """
    from changes.app.doctor import findings, main

    with known_errors():
        loaded = main.load()
        found = main.examine(loaded)
        if fix and any(each.can_be_mended for each in found):
            tell(f"Counted {main.mend(loaded.settings, found)} builds anew.")
            found = main.examine(loaded)
    if as_json:
        say_json([asdict(each) for each in found])
    else:
        show([each for each in found if not quiet or each.state != findings.State.OK])
    if findings.is_sick(found):
        raise typer.Exit(REFUSED)


def show(found: "list[Finding]") -> None:
    for each in found:
        say(f"{each.state.value:<8} {each.name}: {each.text}")
        if each.advice:
            say(f"{'':<8} {each.advice}")
