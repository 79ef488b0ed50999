"""changes login | project | build | log | status: everything that asks a server by its API."""

import json
import os
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from changes.app.cli import server as servers
from changes.app.cli.output import REFUSED, WRONG_USAGE, fail, say, say_json, table, tell
from changes.app.cli.server import Login, Server

project = typer.Typer(no_args_is_help=True, help="What can be built.")
AsJson = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
WAIT_S = 20


def add_to(app: typer.Typer) -> None:
    app.command()(login)
    app.add_typer(project, name="project")
    app.command()(build)
    app.command()(status)


def login(
    url: Annotated[str, typer.Argument(help="Address of the server.")],
    token: Annotated[
        str, typer.Option(help="A token; asked for when left out.", envvar="CHANGES_TOKEN")
    ] = "",
) -> None:
    """Remember a server and a token for the commands that ask it."""
    if not token and not sys.stdin.isatty():
        fail("A token is needed: --token, or CHANGES_TOKEN.", WRONG_USAGE)
    secret = token or typer.prompt("Token", hide_input=True)
    asked = Server(Login(url.rstrip("/"), secret))
    who = asked.get("/auth/")
    path = servers.login_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        json.dump({"url": asked.login.url, "token": secret}, file)
    tell(f"Signed in as {who['name']} with the scope {who['scope']}.")


@project.command("create")
def create_project(
    name: Annotated[str, typer.Argument(help="Name to show.")],
    repository: Annotated[str, typer.Option(help="URL, or a path when server and agent run on this host.")],
    backend: Annotated[str, typer.Option(help="git or hg.")] = "git",
    slug: Annotated[str | None, typer.Option(help="Short name for addresses and commands.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a project, and its repository when it is new.

    What to run stands in the repository, in .changes.yml, or in plans made on the server.
    """
    asked = servers.connect()
    known = asked.get("/repositories/", query=repository, per_page=100)
    if not any(each["url"] == repository for each in known):
        asked.post("/repositories/", {"url": repository, "backend": backend})
    made = asked.post("/projects/", {"name": name, "slug": slug, "repository": repository})
    say_json(made) if as_json else say(made["slug"])


@project.command("list")
def list_projects(as_json: AsJson = False) -> None:
    """All active projects with their last build."""
    found = servers.connect().get("/projects/")
    if as_json:
        say_json(found)
        return
    table(["SLUG", "NAME", "LAST BUILD"], [(p["slug"], p["name"], verdict(p["lastBuild"])) for p in found])


def verdict(build: dict[str, Any] | None) -> str:
    if build is None:
        return ""
    state = build["result"] if build["status"]["id"] == "finished" else build["status"]
    return f"#{build['number']} {state['name'].lower()}"


def build(
    slug: Annotated[str, typer.Argument(help="Project to build.")],
    sha: Annotated[str, typer.Option(help="Commit, branch or tag.")] = "HEAD",
    patch: Annotated[Path | None, typer.Option(help="A diff to apply first; - reads it from here.")] = None,
    label: Annotated[str | None, typer.Option(help="What the build is called.")] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Stay until it is finished; the exit code is its verdict.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Ask for a build of a project."""
    asked = servers.connect()
    fields: dict[str, object] = {"project": slug, "sha": sha, "label": label, "cause": "manual"}
    if patch is not None:
        fields["patch"] = sys.stdin.buffer.read() if str(patch) == "-" else read_patch(patch)
    # Sent again after a lost answer, the same key finds the same build.
    made = asked.post("/builds/", fields, key=uuid.uuid4().hex)
    if not made:
        fail("The request made no build.", REFUSED)
    each = made[0]
    tell(f"Build {slug} #{each['number']} {each['link']}")
    if wait:
        each = follow(Server(asked.login, servers.PATIENT), each["id"])
    if as_json:
        say_json(each)
    else:
        say(each["id"])
    if wait and each["result"]["id"] != "passed":
        raise typer.Exit(REFUSED)


def read_patch(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        fail(f"{path} cannot be read: {error.strerror}", WRONG_USAGE)


def follow(asked: Server, build_id: str) -> dict[str, Any]:
    """Tells each change of state once, without polling; what it waits for, when it waits for long."""
    last, told = "", set()
    wait_s = 0
    while True:
        each: dict[str, Any] = asked.get(f"/builds/{build_id}/", wait_s=wait_s)
        is_long = verdict(each) == last
        reasons = [why["text"] for why in [*each["lostAttempts"], *each["failures"]]]
        if not is_long:
            last = verdict(each)
            tell(last)
        for text in [*reasons, *([each["waiting"]] if is_long and each["waiting"] else [])]:
            if text not in told:
                told.add(text)
                tell(f"  {text}")
        if each["status"]["id"] == "finished":
            return each
        wait_s = WAIT_S


def status(
    build_id: Annotated[str, typer.Argument(help="A build; without it, the newest builds.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show the newest builds, or one build with its jobs, steps and reasons."""
    asked = servers.connect()
    if not build_id:
        found = asked.get("/builds/")
        if as_json:
            say_json(found)
            return
        rows = [(b["id"], f"{b['project']['slug']} {verdict(b)}", b["target"], b["name"]) for b in found]
        table(["ID", "BUILD", "COMMIT", "NAME"], rows)
        return
    each = asked.get(f"/builds/{build_id}/")
    for job in each["jobs"]:
        job["phases"] = asked.get(f"/jobs/{job['id']}/phases/")
    say_json(each) if as_json else show(each)


def show(each: dict[str, Any]) -> None:
    say(f"{each['project']['slug']} {verdict(each)}  {each['target']}  {each['name']}")
    lost = [f"An earlier attempt: {why['text']}" for why in each["lostAttempts"]]
    for text in [each["waiting"], *(why["text"] for why in each["failures"]), *lost]:
        if text:
            say(f"  {text}")
    for job in each["jobs"]:
        say(f"  {verdict(job)} {job['name']}")
        for step in (step for phase in job["phases"] for step in phase["steps"]):
            state = step["result"] if step["status"]["id"] == "finished" else step["status"]
            say(f"    step {step['id']} {state['name'].lower()}{place_of(step)}")


def place_of(step: Mapping[str, Any]) -> str:
    """Of one that ended without a machine nobody ever had it, or it ran elsewhere."""
    if step["node"]:
        return f" on {step['node']['name']}"
    return "" if step["status"]["id"] == "finished" else " on no agent yet"
