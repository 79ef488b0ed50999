"""changes snapshot | cache: what builds keep for the next ones, by the API."""

import uuid
from typing import Annotated, Any

import typer

from changes.app.cli import server as servers
from changes.app.cli.asking import AsJson
from changes.app.cli.output import minute_of, say, say_json, table, tell

snapshots = typer.Typer(
    no_args_is_help=True, help="Machines as their set-up left them, to begin builds with."
)
caches = typer.Typer(no_args_is_help=True, help="Folders that builds find again by a key.")
MEGABYTE = 2**20


def add_to(app: typer.Typer) -> None:
    app.add_typer(snapshots, name="snapshot")
    app.add_typer(caches, name="cache")


@snapshots.command("create")
def create(
    project: Annotated[str, typer.Argument(help="Short name of a project.")],
    sha: Annotated[str, typer.Option(help="A commit, a branch or a tag.")] = "HEAD",
    as_json: AsJson = False,
) -> None:
    """Start a build that runs the set-up of each plan and keeps what it leaves."""
    made = servers.connect().post(f"/projects/{project}/snapshots/", {"sha": sha}, key=uuid.uuid4().hex)
    tell(f"Build {made['project']['slug']} #{made['build']['number']} {made['build']['link']}")
    say_json(made) if as_json else say(made["id"])


@snapshots.command("list")
def list_snapshots(
    project: Annotated[str, typer.Argument(help="Short name of a project.")], as_json: AsJson = False
) -> None:
    """The newest first; builds begin with the current one."""
    found = servers.connect().get(f"/projects/{project}/snapshots/")
    if as_json:
        say_json(found)
        return
    rows = [
        (each["id"], state_of(each), size_of(each["images"]), minute_of(each["dateCreated"]))
        for each in found
    ]
    table(["ID", "STATE", "MB", "MADE"], rows)


def state_of(each: dict[str, Any]) -> str:
    return "current" if each["isActive"] else str(each["status"]["id"])


def size_of(images: list[dict[str, Any]]) -> str:
    return f"{sum(each['size'] or 0 for each in images) / MEGABYTE:.1f}"


@snapshots.command("use")
def use(snapshot_id: Annotated[str, typer.Argument(metavar="ID", help="Id of an active snapshot.")]) -> None:
    """Builds of its project begin with it from now on."""
    servers.connect().post(f"/snapshots/{snapshot_id}/", {"set_current": "1"})
    tell("It is the current one.")


@snapshots.command("invalidate")
def invalidate(snapshot_id: Annotated[str, typer.Argument(metavar="ID", help="Id of a snapshot.")]) -> None:
    """No build begins with it any more, and its bytes go."""
    servers.connect().post(f"/snapshots/{snapshot_id}/", {"status": "invalidated"})
    tell("No build begins with it any more.")


@caches.command("list")
def list_caches(
    project: Annotated[str, typer.Argument(help="Short name of a project.")], as_json: AsJson = False
) -> None:
    """The last used first."""
    found = servers.connect().get(f"/projects/{project}/caches/")
    if as_json:
        say_json(found)
        return
    rows = [
        (
            each["key"],
            "" if each["isTrusted"] else "no",
            f"{each['size'] / MEGABYTE:.1f}",
            minute_of(each["dateUsed"]),
        )
        for each in found
    ]
    table(["KEY", "TRUSTED", "MB", "USED"], rows)


@caches.command("remove")
def remove(
    project: Annotated[str, typer.Argument(help="Short name of a project.")],
    key: Annotated[str, typer.Option(help="Those whose key begins so; without it, all.")] = "",
) -> None:
    """The next build that wants one makes it anew."""
    removed = servers.connect().ask(
        "DELETE", f"/projects/{project}/caches/", query={"key": key} if key else None
    )
    tell(f"Removed {removed['removed']}.")
