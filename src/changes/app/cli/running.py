"""changes up | web | worker | agent: the programs themselves."""

import os
from pathlib import Path
from typing import Annotated

import typer

from changes.app.cli import programs


def add_to(app: typer.Typer) -> None:
    app.command()(up)
    app.command()(web)
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(worker)
    app.command()(agent)


def up() -> None:
    """Run the whole system on this machine, with embedded databases unless URLs are set.

    PORT, HOST, CHANGES_HOME, DATABASE_URL, BROKER_URL and BLOB_URL choose where; docs/install
    has them all. Ctrl-C stops everything; the next start finds everything again.
    """
    from changes.app import starting

    raise typer.Exit(starting.up())


def web() -> None:
    """Run the web server (any number of them may run behind a proxy)."""
    programs.web()


def worker(context: typer.Context) -> None:
    """Run a background worker; arguments of `celery worker` may follow.

    `celery -A changes.app worker -B` does the same.
    """
    programs.worker(context.args)


def agent(
    server: Annotated[str, typer.Option(help="Address of the Changes server.", envvar="CHANGES_SERVER")],
    home: Annotated[
        Path | None, typer.Option(help="Where the agent keeps its files.", envvar="CHANGES_AGENT_HOME")
    ] = None,
    name: Annotated[str, typer.Option(help="Name of this machine on the nodes page.")] = "",
    slots: Annotated[int | None, typer.Option(min=1, help="How many steps may run at once.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="What this machine offers: key=value.")] = None,
    enrol: Annotated[
        str, typer.Option(help="One-time token, needed the first time.", envvar="CHANGES_ENROL_TOKEN")
    ] = "",
) -> None:
    """Run a build agent. It needs no database, only the server's address.

    The first time it needs a one-time token: `changes agent-token` on the server prints one.
    """
    arguments = ["--server", server, "--slots", str(slots or default_slots())]
    for flag, value in (("--home", home), ("--name", name), ("--enrol", enrol)):
        if value:
            arguments += [flag, str(value)]
    for each in label or []:
        arguments += ["--label", each]
    programs.agent(arguments)


def default_slots() -> int:
    return os.cpu_count() or 1
