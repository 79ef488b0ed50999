"""changes card: a command of a step says in Markdown what its readers should see first."""

import json
import os
import sys
import time
import uuid
from pathlib import Path
from typing import Annotated

import typer

from changes.app.cli import server as servers
from changes.app.cli.output import WRONG_USAGE, fail, tell

FOLDER = "CHANGES_CARDS"
STYLES = ("info", "success", "warning", "error")


def add_to(app: typer.Typer) -> None:
    app.command()(card)


def card(
    file: Annotated[str, typer.Argument(help="What it says, in Markdown; - reads it from here.")] = "-",
    key: Annotated[str, typer.Option(help="The same key again replaces the card.")] = "default",
    style: Annotated[str, typer.Option(help="info, success, warning or error.")] = "info",
    title: Annotated[str, typer.Option(help="Above it, on one line.")] = "",
    append: Annotated[bool, typer.Option("--append", help="Behind what it says already.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Take it back.")] = False,
    step: Annotated[str, typer.Option(help="Id of a step, where this is none of its commands.")] = "",
) -> None:
    """Post a card to the pages of a build: within a step, or to the step that is named."""
    if style not in STYLES:
        fail(f"The style is one of {', '.join(STYLES)}.", WRONG_USAGE)
    fields: dict[str, object] = {"key": key, "style": style, "title": title, "append": append}
    fields["text"] = "" if remove else text_of(file)
    folder = os.environ.get(FOLDER)
    if step:
        servers.connect().post(f"/jobsteps/{step}/cards/", fields, key=uuid.uuid4().hex)
    elif folder:
        leave(Path(folder), fields)
    else:
        fail(f"This is no command of a step ({FOLDER} is not set): name one by --step.", WRONG_USAGE)
    tell(f"Card {key} {'taken back' if remove else 'posted'}.")


def text_of(file: str) -> str:
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}", WRONG_USAGE)
    return data.decode(errors="replace")


def leave(folder: Path, fields: dict[str, object]) -> None:
    """For the agent, which takes what has its name: so it gets that only when it is whole."""
    number = f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}"
    begun = folder / f".{number}"
    try:
        begun.write_text(json.dumps({**fields, "number": number}))
        begun.rename(folder / f"{number}.json")
    except OSError as error:
        fail(f"The card cannot be left for the agent: {error}")
