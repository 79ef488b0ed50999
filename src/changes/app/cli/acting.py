"""changes cancel | retry | restart | message: what people do besides asking for builds, by the API."""

import uuid
from typing import Annotated

import typer

from changes.app.cli import server as servers
from changes.app.cli.asking import AsJson
from changes.app.cli.output import WRONG_USAGE, fail, say, say_json, tell


def add_to(app: typer.Typer) -> None:
    app.command()(cancel)
    app.command()(retry)
    app.command()(restart)
    app.command()(message)


def cancel(
    thing_id: Annotated[str, typer.Argument(metavar="ID", help="Id of a build.")],
    job: Annotated[bool, typer.Option("--job", help="It is the id of a job.")] = False,
    step: Annotated[bool, typer.Option("--step", help="It is the id of a step.")] = False,
    as_json: AsJson = False,
) -> None:
    """Stop a build, or one of its parts: what waits is dropped, what runs is told to stop."""
    if job and step:
        fail("Either --job or --step.", WRONG_USAGE)
    kind = "jobs" if job else "jobsteps" if step else "builds"
    cancelled = servers.connect().post(f"/{kind}/{thing_id}/cancel/")
    tell("Cancelled." if cancelled else "It had ended already.")
    if as_json:
        say_json(cancelled)


def retry(
    thing_id: Annotated[str, typer.Argument(metavar="ID", help="Id of a build.")],
    only_failed: Annotated[
        bool, typer.Option("--only-failed", help="In the same build, what did not pass.")
    ] = False,
    job: Annotated[bool, typer.Option("--job", help="It is the id of a job: all of its steps.")] = False,
    as_json: AsJson = False,
) -> None:
    """Build the same source once more; prints the id of the new build."""
    if job and only_failed:
        fail("Either --job or --only-failed.", WRONG_USAGE)
    path = f"/jobs/{thing_id}/retry/" if job else f"/builds/{thing_id}/retry/"
    asked = servers.connect()
    made = asked.post(path, {"only": "failed"} if only_failed else None, key=uuid.uuid4().hex)
    if not job:
        tell(f"Build {made['project']['slug']} #{made['number']} {made['link']}")
    say_json(made) if as_json else say(made["id"])


def restart(build_id: Annotated[str, typer.Argument(help="Id of a build.")], as_json: AsJson = False) -> None:
    """Do all of a build that has ended once more, in the same build."""
    made = servers.connect().post(f"/builds/{build_id}/restart/", key=uuid.uuid4().hex)
    tell(f"Build {made['project']['slug']} #{made['number']} {made['link']}")
    say_json(made) if as_json else say(made["id"])


def message(
    text: Annotated[str, typer.Argument(help="What everybody should know.")] = "",
    clear: Annotated[bool, typer.Option("--clear", help="Take it away.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say a word above every page; without a text, print what is said now."""
    if text and clear:
        fail("Either a text or --clear.", WRONG_USAGE)
    asked = servers.connect()
    said = asked.post("/messages/", {"message": text}) if text or clear else asked.get("/messages/")
    if as_json:
        say_json(said)
    elif said and not text:
        say(said["message"])
