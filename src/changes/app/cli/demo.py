"""changes demo: sample data, and a day that goes on."""

import asyncio
from typing import Annotated

import typer

from changes.app.cli.output import tell
from changes.app.cli.programs import known_errors


def add_to(app: typer.Typer) -> None:
    app.command()(demo)


def demo(
    fill: Annotated[bool, typer.Option("--fill", help="Only fill the database of this home.")] = False,
    stream: Annotated[bool, typer.Option("--stream", help="Only let builds go on, until Ctrl-C.")] = False,
    projects: Annotated[int | None, typer.Option(min=1, help="How many projects.")] = None,
    builds: Annotated[int | None, typer.Option(min=1, help="How many builds.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed fills in the same month.")] = 1,
    more: Annotated[bool, typer.Option("--more", help="Also where builds are already.")] = False,
    if_empty: Annotated[bool, typer.Option("--if-empty", help="Where builds are, do nothing.")] = False,
    pace: Annotated[float, typer.Option(min=0.1, help="Events per second of the stream.")] = 4.0,
) -> None:
    """Show Changes with a believable team's month in it, and builds that go on.

    Without --fill and --stream it starts the whole system as `changes up` does; the data is
    made at the first start. Never use it on a home with real builds.
    """
    if not fill and not stream:
        from changes.app.demo import start

        raise typer.Exit(start.up())
    with known_errors():
        if fill:
            fill_database(projects, builds, seed, (more, if_empty))
        if stream:
            stream_events(pace)


def fill_database(projects: int | None, builds: int | None, seed: int, existing: tuple[bool, bool]) -> None:
    from changes.app import starting, wiring
    from changes.app.demo import filling
    from changes.base import clock, db, storage

    wiring.wire(starting.load())
    more, if_empty = existing
    wanted = filling.Wanted(
        now=clock.now(),
        projects=projects or filling.PROJECTS,
        builds=builds or filling.BUILDS,
        seed=seed,
        more=more,
    )
    into = filling.Into(db.database.get(), storage.storage.get(), tell)
    if if_empty and filling.has_builds(into):
        return
    tell(f"Filling in {wanted.builds} builds of {wanted.projects} projects ...")
    tell(f"{filling.fill(into, wanted)} rows.")


def stream_events(events_per_s: float) -> None:
    from changes.app import broker, starting, wiring
    from changes.app.demo import streaming
    from changes.base import db, storage

    current = starting.load()
    wiring.wire(current)
    broker.connect_bell(broker.make_celery(current), eager=current.celery_always_eager)
    tell("Builds go on; Ctrl-C stops them.")
    pace = streaming.Pace(events_per_s=events_per_s)
    events = asyncio.run(streaming.run(db.database.get(), storage.storage.get(), pace))
    tell(f"{events} events.")
