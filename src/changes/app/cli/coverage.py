"""changes coverage: how much of the code a build ran, and which new lines it did not."""

from typing import Annotated, Any

import typer

from changes.app.cli import server as servers
from changes.app.cli.asking import AsJson
from changes.app.cli.output import say, say_json

SHA_SHOWN, PERCENT = 12, 100
SIGNS = {"C": " ", "U": "!", "N": " "}


def add_to(app: typer.Typer) -> None:
    app.command()(coverage)


def coverage(
    build_id: Annotated[str, typer.Argument(metavar="BUILD", help="Id of a build.")],
    uncovered: Annotated[
        bool, typer.Option("--uncovered", help="Also the new lines that did not run, with their code.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show how much of the code a build ran, and how much of what its change adds."""
    told = servers.connect().get(f"/builds/{build_id}/coverage/summary/")
    if as_json:
        say_json(told)
        return
    say(f"{amount(told)} of all lines, {told['numFiles']} file{'' if told['numFiles'] == 1 else 's'}")
    say(f"  {compared(told)}")
    patch = told["patch"]
    say(f"{patch['problem'] or amount(patch) + ' of the lines that it adds'}")
    for file in patch["files"]:
        if file["linesUncovered"]:
            say(f"  {file['filename']}: {file['linesUncovered']} did not run")
    if uncovered:
        for gap in patch["gaps"]:
            show_gap(gap)
    strange = told["notInRepository"]
    if strange["count"]:
        names = f"{strange['count']} names in its reports, such as {strange['names'][0]},"
        say(f"{names} are no files of the commit")


def amount(counts: dict[str, Any]) -> str:
    covered, total = counts["linesCovered"], counts["linesCovered"] + counts["linesUncovered"]
    return f"{covered * PERCENT / total:.1f}% ({covered} of {total})" if total else "none (0 of 0)"


def compared(told: dict[str, Any]) -> str:
    base = told["base"]
    if base is None:
        return "no build of a commit below it has coverage to compare with"
    where = f"build #{base['build']['number']} of {base['sha'][:SHA_SHOWN]}"
    if told["share"] is None or base["share"] is None:
        return f"compared with {where}, which has no lines"
    points = (told["share"] - base["share"]) * PERCENT
    return f"{points:+.1f} points against {where}"


def show_gap(gap: dict[str, Any]) -> None:
    say("")
    say(f"{gap['filename']}:{gap['first']}" + (f"-{gap['last']}" if gap["last"] != gap["first"] else ""))
    for line in gap["lines"]:
        say(f"{SIGNS.get(line['coverage'], ' ')} {line['number']:>6}  {line['text']}".rstrip())
    if gap["numLeftOut"]:
        say(f"         {gap['numLeftOut']} more lines")
