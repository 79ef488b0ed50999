"""changes flaky | failures | quarantine: what tests turn out to be, by the API."""

import uuid
from typing import Annotated, Any

import typer

from changes.app.cli import server as servers
from changes.app.cli.asking import AsJson
from changes.app.cli.output import REFUSED, fail, minute_of, say, say_json, table, tell

quarantine = typer.Typer(no_args_is_help=True, help="Tests that may fail for a while.")
Project = Annotated[str, typer.Argument(metavar="PROJECT", help="Short name of the project.")]
Tests = Annotated[list[str], typer.Argument(metavar="TEST...", help="Full names, or their sha1.")]
MS_PER_MINUTE = 60_000
HEADLINE_COLUMNS, PLACE_COLUMNS = 100, 80


def add_to(app: typer.Typer) -> None:
    app.command()(flaky)
    app.command()(failures)
    app.add_typer(quarantine, name="quarantine")


def flaky(project: Project, as_json: AsJson = False) -> None:
    """The flaky tests of a project, the worst first, with the evidence; and what they cost."""
    found = servers.connect().get(f"/projects/{project}/flaky/", per_page=100)
    if as_json:
        say_json(found)
        return
    bill = found["bill"]
    minutes = bill["lostMs"] / MS_PER_MINUTE
    if not found["tests"]:
        tell(f"No flaky tests in {bill['days']} days.")
        return
    tell(
        f"{counted(bill['tests'], 'flaky test')} in {bill['days']} days:"
        f" {counted(bill['redBuilds'], 'build')} turned red, {counted(bill['reruns'], 'run')} again,"
        f" {counted(round(minutes), 'minute')} lost."
    )
    rows = [
        (
            each["score"],
            each["test"]["name"],
            "in quarantine" if each["quarantine"] else "",
            "; ".join(each["evidence"]),
        )
        for each in found["tests"]
    ]
    table(["SCORE", "TEST", "STATE", "WHY"], rows)
    if bill["tests"] > len(rows):
        tell(f"{bill['tests'] - len(rows)} more are on the page /projects/{project}/flaky/.")


def failures(
    project: Annotated[str, typer.Argument(metavar="PROJECT", help="Without it, of all projects.")] = "",
    days: Annotated[int, typer.Option(help="Seen within so many days.")] = 7,
    as_json: AsJson = False,
) -> None:
    """Failures by what they have in common, those in most builds first."""
    where = f"/projects/{project}/failures/" if project else "/failures/"
    found = servers.connect().get(where, days=days, per_page=100)
    if as_json:
        say_json(found)
        return
    if not found:
        tell("No failures in a day." if days == 1 else f"No failures in {days} days.")
        return
    rows = [
        (
            each["builds"],
            each["changes"],
            each["runs"],
            known(each),
            each["headline"][:HEADLINE_COLUMNS],
            each["place"][:PLACE_COLUMNS],
        )
        for each in found
    ]
    table(["BUILDS", "CHANGES", "RUNS", "KNOWN AS", "WHAT WAS SAID", "WHERE"], rows)


def known(each: dict[str, Any]) -> str:
    return str(each["trackerUrl"] or each["verdict"] or ("noted" if each["note"] else ""))


@quarantine.command("add")
def add(
    project: Project,
    tests: Tests,
    owner: Annotated[str, typer.Option(help="Who mends them.")],
    reason: Annotated[str, typer.Option(help="Why.")],
    days: Annotated[int, typer.Option(help="Until they count again by themselves.")] = 14,
    passes: Annotated[int, typer.Option(help="So many passes in a row let them count earlier.")] = 20,
    force: Annotated[
        bool, typer.Option("--force", help="Also when it looks like one fault of many tests.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Let tests fail for a while: they run and are told of, and turn no build red."""
    said: dict[str, object] = {
        "tests": tests,
        "owner": owner,
        "reason": reason,
        "days": days,
        "passes": passes,
        "force": force,
    }
    made = servers.connect().post(f"/projects/{project}/quarantine/", said, key=uuid.uuid4().hex)
    if as_json:
        say_json(made)
        return
    for each in made:
        say(f"{each['test']['name']} until {minute_of(each['dateExpires'])}")


@quarantine.command("remove")
def remove(project: Project, tests: Tests) -> None:
    """Let tests count again, from now on."""
    asked = servers.connect()
    # One by one: no list of all of them is endless.
    live = {test: asked.get(f"/projects/{project}/quarantine/", test=test)["live"] for test in tests}
    missing = [test for test, found in live.items() if not found]
    if missing:
        fail(f"Not in quarantine: {', '.join(sorted(missing))}", REFUSED)
    for each in {each["id"]: each for found in live.values() for each in found}.values():
        asked.ask("DELETE", f"/projects/{project}/quarantine/{each['id']}/")
        tell(f"{each['test']['name']} counts again.")


@quarantine.command("list")
def list_live(project: Project, as_json: AsJson = False) -> None:
    """The tests that may fail now, and until when."""
    found = servers.connect().get(f"/projects/{project}/quarantine/")
    if as_json:
        say_json(found)
        return
    if not found["live"]:
        tell("No test is in quarantine.")
        return
    rows = [
        (each["test"]["name"], each["owner"], minute_of(each["dateExpires"]), each["reason"])
        for each in found["live"]
    ]
    table(["TEST", "OWNER", "UNTIL (UTC)", "WHY"], rows)


def counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
