"""changes why | queue | priority | node | group: what waits for what, and the machines that build."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from changes.app.cli import server as servers
from changes.app.cli.output import WRONG_USAGE, fail, minute_of, say, say_json, table, tell
from changes.app.cli.server import Server

node = typer.Typer(no_args_is_help=True, help="The machines that build.")
group = typer.Typer(no_args_is_help=True, help="Limits that plans of several projects share.")
AsJson = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
Name = Annotated[str, typer.Argument(help="Name of the machine, as `changes node list` shows it.")]
Why = Annotated[str, typer.Option("--reason", help="For people who wonder.")]
LOSSES_SHOWN = 10
# Up to twice a unit it is said in the smaller one.
IN_SECONDS_BELOW, IN_MINUTES_BELOW, IN_HOURS_BELOW = 120, 2 * 3600, 48 * 3600


def add_to(app: typer.Typer) -> None:
    app.command()(why)
    app.command()(queue)
    app.command()(priority)
    app.add_typer(node, name="node")
    app.add_typer(group, name="group")


def why(
    item: Annotated[str, typer.Argument(help="Id of a job step or of a build.")], as_json: AsJson = False
) -> None:
    """Say what a step, or each waiting step of a build, waits for."""
    asked = servers.connect()
    found = explanations(asked, item)
    if as_json:
        say_json(found)
        return
    if not found:
        say("Nothing of it waits: it runs, or has ended.")
    for each in found:
        say(f"{each['step']['id']}  {each['text']}{start_of(each['estimate'])}")


def explanations(asked: Server, item: str) -> list[dict[str, Any]]:
    """One word for both, as people have an id and do not care of what."""
    of_build: list[dict[str, Any]] | None = asked.get_or_none(f"/builds/{item}/waiting/")
    if of_build is not None:
        return of_build
    if asked.get_or_none(f"/jobsteps/{item}/") is None:
        fail(f"There is no build and no job step {item}.", WRONG_USAGE)
    of_step = asked.get(f"/jobsteps/{item}/waiting/")
    return [of_step] if of_step else []


def start_of(estimate: dict[str, int] | None) -> str:
    if estimate is None:
        return ""
    return (
        f" It starts in about {minutes(estimate['startInSeconds'])},"
        f" give or take {minutes(estimate['plusMinusSeconds'])}."
    )


def minutes(seconds: int) -> str:
    if seconds < IN_SECONDS_BELOW:
        return f"{seconds} s"
    if seconds < IN_MINUTES_BELOW:
        return f"{round(seconds / 60)} min"
    return f"{round(seconds / 3600)} h" if seconds < IN_HOURS_BELOW else f"{round(seconds / 86400)} days"


def head_line(waiting: int, machines: int) -> str:
    wait = "step waits" if waiting == 1 else "steps wait"
    are = "machine is" if machines == 1 else "machines are"
    return f"{waiting} {wait}; {machines} {are} heard of."


def queue(
    project: Annotated[str | None, typer.Option(help="Only what waits of this project.")] = None,
    cluster: Annotated[str | None, typer.Option(help="Only what waits for this cluster.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what waits, in the order it is handed out: how many steps, for how long, and why."""
    found = servers.connect().get("/queue/", project=project, cluster=cluster)
    if as_json:
        say_json(found)
        return
    say(head_line(sum(each["waiting"] for each in found["priorities"]), found["liveNodes"]))
    if found["lanes"]:
        head = ["PROJECT", "AUTHOR", "PRIORITY", "WAITING", "OLDEST", "NEEDS", "WHY"]
        rows = [
            (
                lane["project"],
                lane["author"] or "",
                lane["priority"],
                lane["waiting"],
                minutes(lane["oldestAgeSeconds"]),
                needs(lane),
                lane["block"].replace("_", " "),
            )
            for lane in found["lanes"]
        ]
        table(head, rows)
    limited = [each for each in found["projects"] if each["limit"] is not None]
    if limited:
        table(
            ["PROJECT", "RUNNING"],
            [(each["project"], f"{each['held']} of {each['limit']}") for each in limited],
        )
    if found["groups"]:
        held = [(each["name"], f"{each['held']} of {each['limit']}") for each in found["groups"]]
        table(["GROUP", "RUNNING"], held)


def needs(lane: dict[str, Any]) -> str:
    words = [f"cluster={lane['cluster']}"] if lane["cluster"] else []
    words += [f"{name}={value}" for name, value in lane["labels"].items()]
    words += [f"{lane['cpus']} cpus"] if lane["cpus"] else []
    words += [f"{lane['memory']} MB"] if lane["memory"] else []
    return ", ".join([*words, *([f"group {lane['group']}"] if lane["group"] else [])])


def priority(
    build: Annotated[str, typer.Argument(help="Id of a build.")],
    value: Annotated[str, typer.Argument(help="high, default or low.")],
    as_json: AsJson = False,
) -> None:
    """Change how urgent a build is; what waits of it moves at once."""
    changed = servers.connect().post(f"/builds/{build}/priority/", {"priority": value})
    tell(f"Build {changed['project']['slug']} #{changed['number']} has the priority {changed['priority']}.")
    if as_json:
        say_json(changed)


# --- machines ----------------------------------------------------------------------------


@node.command("list")
def list_nodes(as_json: AsJson = False) -> None:
    """All machines, what they do and how they are."""
    asked = servers.connect()
    found = asked.get("/nodes/", per_page=0)
    if as_json:
        say_json(found)
        return
    rows = [
        (
            each["name"],
            state_of(each),
            f"{each['running']}/{each['slots']}",
            each["infraFailures"],
            each["labels"].get("cluster", ""),
        )
        for each in found
    ]
    table(["NAME", "STATE", "RUNNING", "LOST TODAY", "CLUSTER"], rows)


def state_of(each: dict[str, Any]) -> str:
    if each["isRevoked"]:
        return "revoked"
    if each["state"] != "active":
        return f"{each['state']}{': ' + each['stateReason'] if each['stateReason'] else ''}"
    if each["quarantine"]:
        return "on trial" if each["quarantine"]["isOnTrial"] else "in quarantine"
    return "ready" if each["isLive"] else "silent"


@node.command("show")
def show_node(name: Name, as_json: AsJson = False) -> None:
    """One machine: how it is, what it offers, and what it lost lately."""
    each = servers.connect().get(f"/nodes/hostname/{quote(name, safe='')}/")
    if as_json:
        say_json(each)
        return
    say(f"{each['name']}: {state_of(each)}, {each['running']} of {each['slots']} slots busy")
    labels = ", ".join(f"{label}={value}" for label, value in each["labels"].items())
    say(f"  offers {labels or 'no labels'}; {each['cpus'] or '?'} cpus, {each['memory'] or '?'} MB")
    for loss in each["losses"][:LOSSES_SHOWN]:
        say(f"  {minute_of(loss['dateFinished'])} lost step {loss['step']['id']}: {loss['text']}")
    if len(each["losses"]) > LOSSES_SHOWN:
        say(f"  and more: changes infra --node {name}")


@node.command()
def drain(name: Name, reason: Why = "", as_json: AsJson = False) -> None:
    """Let it end what it has, and give it nothing new."""
    change(name, "drain", {"reason": reason}, as_json=as_json)


@node.command()
def disable(name: Name, reason: Why = "", as_json: AsJson = False) -> None:
    """Give it nothing new, and do what it works on elsewhere."""
    change(name, "disable", {"reason": reason}, as_json=as_json)


@node.command()
def enable(name: Name, as_json: AsJson = False) -> None:
    """Let it work again; a quarantine is lifted too."""
    change(name, "enable", {}, as_json=as_json)


@node.command()
def revoke(name: Name, as_json: AsJson = False) -> None:
    """Take its key away, at once: its agent ends, and what it works on is done elsewhere."""
    change(name, "revoke", {}, as_json=as_json)


@node.command("replace-key")
def replace_key(name: Name, as_json: AsJson = False) -> None:
    """Let its agent take another key, within ten minutes or at its next start; it goes on working."""
    change(name, "replace_key", {}, as_json=as_json)
    tell("Its agent gets another key the next time it says who it is.")


def change(name: str, how: str, said: dict[str, object], *, as_json: bool) -> None:
    asked = servers.connect()
    found = asked.get(f"/nodes/hostname/{quote(name, safe='')}/")
    changed = asked.post(f"/nodes/{found['id']}/{how}/", said)
    say_json(changed) if as_json else say(f"{name}: {state_of(changed)}")


# --- limits with a name ------------------------------------------------------------------


@group.command("limit")
def set_limit(
    name: Annotated[str, typer.Argument(help="As plans name it.")],
    limit: Annotated[int, typer.Argument(help="Steps at a time; 0 pauses them all.")],
    as_json: AsJson = False,
) -> None:
    """Say how many steps of a group may run at a time; it acts at once."""
    groups = servers.connect().post("/queue/groups/", {"name": name, "limit": limit})
    tell(f"The group {name} runs {limit} at a time.")
    if as_json:
        say_json(groups)


@group.command("list")
def list_groups(as_json: AsJson = False) -> None:
    """Groups with a limit, and how many of their steps run."""
    found = servers.connect().get("/queue/groups/")
    if as_json:
        say_json(found)
        return
    table(["GROUP", "RUNNING", "LIMIT"], [(each["name"], each["held"], each["limit"]) for each in found])


@group.command("remove")
def remove_limit(name: Annotated[str, typer.Argument(help="As plans name it.")]) -> None:
    """Lift the limit of a group."""
    servers.connect().ask("DELETE", f"/queue/groups/{quote(name, safe='')}/")
    tell(f"The group {name} has no limit any more.")
