"""changes tests and changes test: what the tests of a project cost, and how one of them went."""

import hashlib
from typing import Annotated, Any

import typer

from changes.app.cli import server as servers
from changes.app.cli.asking import AsJson
from changes.app.cli.output import REFUSED, WRONG_USAGE, fail, say, say_json, table, tell
from changes.app.cli.server import Server

SHOWN, RUNS_SHOWN, SHA_SHOWN = 25, 10, 12
MS_PER_S = 1000
SHA1_DIGITS = 40
Slug = Annotated[str, typer.Argument(help="Project.")]


def add_to(app: typer.Typer) -> None:
    app.command("tests")(list_tests)
    app.command("test")(show_test)


def list_tests(
    slug: Slug,
    slowest: Annotated[bool, typer.Option("--slowest", help="Slowest first, as without it.")] = False,
    failing: Annotated[bool, typer.Option("--failing", help="Only what failed, the newest first.")] = False,
    flakiest: Annotated[
        bool, typer.Option("--flakiest", help="Only what passed when it was run again.")
    ] = False,
    words: Annotated[str, typer.Option("--words", help="A part of their names.")] = "",
    as_json: AsJson = False,
) -> None:
    """List the tests of a project, as they went in builds of commits in the last week."""
    chosen = [name for name, on in (("failing", failing), ("flakiest", flakiest), ("slowest", slowest)) if on]
    if len(chosen) > 1:
        fail("Only one of --slowest, --failing and --flakiest can be given.", WRONG_USAGE)
    sort = chosen[0] if chosen else "slowest"
    found = servers.connect().get(f"/projects/{slug}/teststats/", sort=sort, query=words, per_page=SHOWN)
    if as_json:
        say_json(found)
        return
    rows = [
        (each["name"], each["runs"], each["failed"], each["flaky"], seconds(each["duration"]))
        for each in found["tests"]
    ]
    table(["TEST", "RUNS", "FAILED", "FLAKY", "MEAN"], rows)


def seconds(duration_ms: int | None) -> str:
    return "" if duration_ms is None else f"{duration_ms / MS_PER_S:.2f} s"


def show_test(
    slug: Slug,
    name: Annotated[str, typer.Argument(help="Full name of the test, the sha1 of it, or a part of it.")],
    as_json: AsJson = False,
) -> None:
    """Show since when a test passes or fails, and its newest runs."""
    asked = servers.connect()
    sha = sha_of(asked, slug, name)
    told = asked.get(f"/projects/{slug}/tests/{sha}/")
    told["runs"] = asked.get(f"/projects/{slug}/tests/{sha}/runs/", per_page=RUNS_SHOWN)
    say_json(told) if as_json else show(told)


def sha_of(asked: Server, slug: str, name: str) -> str:
    """What is no whole name may be a part of one, if only one test has it."""
    if len(name) == SHA1_DIGITS and set(name.lower()) <= set("0123456789abcdef"):
        return name
    known = asked.get(f"/projects/{slug}/teststats/", sort="name", query=name, per_page=SHOWN)["tests"]
    if len(known) == 1:
        return str(known[0]["hash"])
    if len(known) > 1 and not any(each["name"] == name for each in known):
        for each in known:
            tell(f"  {each['name']}")
        fail(f"Several tests of {slug} are called like that.", REFUSED)
    # It may have run so long ago that no list has it.
    return hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()


def show(told: dict[str, Any]) -> None:
    owner = f"  owned by {told['owner']}" if told["owner"] else ""
    say(f"{told['name']}{owner}")
    if told["turning"]:
        say(f"  {turning(told['turning'])}")
    for run in told["runs"]:
        again = f", {run['numRetries']} reruns" if run["numRetries"] else ""
        where = f"#{run['build']['number']} {run['sha'][:SHA_SHOWN]} {run['job']['name']}"
        say(f"  {run['result']['name'].lower()} {where} {seconds(run['duration'])}{again}".rstrip())


def turning(told: dict[str, Any]) -> str:
    verb, other = ("fails", "good") if told["isFailing"] else ("passes", "that failed")
    branch = f" on {told['branch']}" if told["branch"] else ""
    since = f"{verb}{branch} since {place(told['since'])}"
    return f"{since}; the last {other} was {place(told['before'])}" if told["before"] else since


def place(told: dict[str, Any]) -> str:
    return f"{told['sha'][:SHA_SHOWN]} (build #{told['build']['number']})"
