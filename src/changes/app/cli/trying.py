"""changes try: builds the working tree as it stands, without a commit, and follows it."""

import json
import uuid
from pathlib import Path
from typing import Annotated, Any

import typer
import urllib3

from changes.app.cli import server as servers
from changes.app.cli import trying_git, trying_hg, trying_tools
from changes.app.cli.output import NOT_REACHABLE, REFUSED, WRONG_USAGE, fail, say, say_json, tell
from changes.app.cli.server import Server
from changes.app.cli.trying_following import Follower
from changes.app.cli.trying_tools import Snapped

PATCH_MAX_BYTES = 30 * 1024 * 1024
SUBJECT_MAX = 100
INTERRUPTED = 130
PER_PAGE = 100


def add_to(app: typer.Typer) -> None:
    app.command("try")(try_tree)


def try_tree(
    slug: Annotated[
        str, typer.Argument(help="Project; without it, the one whose repository this is.", show_default=False)
    ] = "",
    plan: Annotated[
        list[str] | None, typer.Option(help="Only this plan, and what it needs; may be repeated.")
    ] = None,
    only_failed_of: Annotated[
        str, typer.Option(metavar="BUILD", help="Only the plans that did not pass in this build.")
    ] = "",
    value: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Value of a parameter; may be repeated."),
    ] = None,
    no_follow: Annotated[
        bool, typer.Option("--no-follow", help="Ask for it, print its id, and stop.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Answer as JSON.")] = False,
) -> None:
    """Build the working tree as it stands, committed or not; the exit code is the verdict.

    What is not ignored goes with it. Nothing in the tree is touched. Ctrl-C leaves the build running.
    """
    asked = servers.connect()
    tool, top = trying_tools.top_of(Path.cwd())
    project = project_of(asked, slug, tool, top)
    snapped = snap(tool, top, project["repository"]["url"])
    plans = [*(plan or []), *(failed_plans(asked, only_failed_of) if only_failed_of else [])]
    made = ask_for(asked, project["slug"], snapped, plans, values_of(value or []))
    tell(f"Build {project['slug']} #{made['number']} {made['link']}")
    if not no_follow:
        made = follow(Server(asked.login, servers.PATIENT), made)
    say_json(made) if as_json else say(made["id"])
    if not no_follow and made["result"]["id"] != "passed":
        raise typer.Exit(REFUSED)


def snap(tool: str, top: Path, url: str) -> Snapped:
    found = trying_git.snapped(top, [url]) if tool == "git" else trying_hg.snapped(top, url)
    if len(found.patch) > PATCH_MAX_BYTES:
        largest = f" The largest files: {', '.join(found.largest)}." if found.largest else ""
        fail(
            f"What differs from {found.base[:12]} has {len(found.patch) // 2**20} MiB; at most"
            f" {PATCH_MAX_BYTES // 2**20} can be sent.{largest} Ignore them, or push first.",
            WRONG_USAGE,
        )
    return found


def project_of(asked: Server, slug: str, tool: str, top: Path) -> dict[str, Any]:
    """With the address of its repository."""
    if slug:
        return with_repository(asked, asked.get(f"/projects/{slug}/"))
    urls = urls_here(tool, top)
    found = []
    for each in asked.get("/repositories/", per_page=PER_PAGE):
        if any(trying_git.same(each["url"], url) for url in urls):
            projects = asked.get("/projects/")
            found += [known for known in projects if known["repository"]["id"] == each["id"]]
    if len(found) != 1:
        names = ", ".join(each["slug"] for each in found)
        why = f"Several projects have this repository: {names}" if found else "No project has this repository"
        fail(f"{why}; name one: changes try PROJECT.", WRONG_USAGE)
    return with_repository(asked, found[0])


def urls_here(tool: str, top: Path) -> list[str]:
    if tool == "hg":
        paths = trying_tools.line(trying_tools.run(top, "hg", "paths", "--template", "{url}\n").stdout)
        return [str(top), *paths.splitlines()]
    names = trying_tools.line(trying_tools.ask(top, "git", "remote")).splitlines()
    return [str(top), *(trying_git.url_of(top, name) for name in names)]


def with_repository(asked: Server, project: dict[str, Any]) -> dict[str, Any]:
    return {**project, "repository": asked.get(f"/repositories/{project['repository']['id']}/")}


def failed_plans(asked: Server, build_id: str) -> list[str]:
    build = asked.get(f"/builds/{build_id}/")
    failed = [job["name"] for job in build["jobs"] if job["result"]["id"] not in ("passed", "unknown")]
    if not failed:
        fail(f"Nothing of this build has failed; it is {build['result']['id']}.", WRONG_USAGE)
    return failed


def values_of(given: list[str]) -> dict[str, str]:
    pairs = [each.partition("=") for each in given]
    wrong = [name for name, equals, _ in pairs if not equals or not name]
    if wrong:
        fail(f"--set takes NAME=VALUE, not {wrong[0]!r}.", WRONG_USAGE)
    return {name: value for name, _, value in pairs}


def ask_for(
    asked: Server, slug: str, snapped: Snapped, plans: list[str], values: dict[str, str]
) -> dict[str, Any]:
    fields: dict[str, object] = {
        "project": slug,
        "sha": snapped.base,
        "cause": "manual",
        "label": f"Try: {snapped.subject[:SUBJECT_MAX]}" if snapped.subject else "Try",
        "tag": "try",
        "patch": snapped.patch or None,
        "plans": json.dumps(plans) if plans else None,
        "parameters": json.dumps(values) if values else None,
    }
    # Sent again after a lost answer, the same key finds the same build.
    made = asked.post("/builds/", fields, key=uuid.uuid4().hex)
    if not made:
        fail("The request made no build.", REFUSED)
    found: dict[str, Any] = made[0]
    return found


def follow(asked: Server, made: dict[str, Any]) -> dict[str, Any]:
    try:
        return Follower(asked, made["id"]).follow()
    except KeyboardInterrupt:
        tell(f"\nIt goes on: {made['link']}\nchanges wait {made['id']} follows it, changes cancel stops it.")
        raise SystemExit(INTERRUPTED) from None
    except urllib3.exceptions.HTTPError:
        fail(f"The server does not answer any more. The build goes on: {made['link']}", NOT_REACHABLE)
