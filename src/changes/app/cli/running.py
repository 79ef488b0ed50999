"""changes up | web | worker | agent: the programs themselves."""

from typing import Any

import typer

from changes.app.cli import programs

PASSED_ON: dict[str, Any] = {"allow_extra_args": True, "ignore_unknown_options": True}


def add_to(app: typer.Typer) -> None:
    app.command()(up)
    app.command()(web)
    app.command(context_settings=PASSED_ON)(worker)
    # Its own parser knows the options, and shows the help: the same as that of `changes-agent`.
    app.command(context_settings={**PASSED_ON, "help_option_names": []})(agent)


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


def agent(context: typer.Context) -> None:
    """Run a build agent; `changes agent --help` has its options. It needs no database."""
    programs.agent(context.args)
