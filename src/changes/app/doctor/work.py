"""Looks at who works: agents, workers and the beat, and what waits for them."""

from importlib.metadata import version
from typing import Any

from sqlalchemy import Connection

from changes.app.doctor import looking
from changes.app.doctor.findings import Finding, broken, ok, warning
from changes.app.schedule import PERIODIC
from changes.base.settings import Settings

BEAT_LATE_S = 60
WORKER_LATE_S = 120
OVERDUE_S = 60
OUTBOX_LATE_S = 300
NAMES_SHOWN = 5

BEAT = "select extract(epoch from now() - max(date_created)) from task where name = any(:names)"
WORKER = "select extract(epoch from now() - max(date_finished)) from task where name = any(:names)"
OVERDUE = """
select count(*), coalesce(extract(epoch from now() - min(due_at)), 0) from task
where state = 0 and due_at < now() - make_interval(secs => :late_s)
"""
FAILED = """
select name || ' (' || count(*) || ')' from task
where state = 4 and date_finished > now() - interval '1 day' group by name order by name
"""
UNDELIVERED = """
select outbox.type from outbox
where (is_waiting or exists (select from task where task.child_id = outbox.id and task.state < 3))
and outbox.date_created < now() - make_interval(secs => :late_s) order by outbox.id
"""
AGENTS = """
select
    label, version, sandboxes, limits,
    date_last_seen > now() - make_interval(secs => :silence_s) as is_live
from node where token_digest is not null order by label
"""
START_WORKER = "Start one, `changes worker`, or look what its log says."


def check(connection: Connection, settings: Settings) -> list[Finding]:
    agents = list(looking.rows(connection, AGENTS, {"silence_s": settings.node_silence_max_s}))
    return [
        beat(connection),
        worker(connection),
        overdue(connection),
        failed(connection),
        outbox(connection),
        heard(agents, settings.node_silence_max_s),
        versions(agents),
        *held(agents),
    ]


def periodic_names() -> list[str]:
    """Of those that come so often that their absence tells something."""
    return [each.name for each in PERIODIC if each.every_s <= BEAT_LATE_S // 2]


def beat(connection: Connection) -> Finding:
    age_s = looking.value(connection, BEAT, {"names": periodic_names()})
    if age_s is None or age_s > BEAT_LATE_S:
        since = "never" if age_s is None else f"not for {age_s:.0f} s"
        return broken(
            "beat", f"Periodic work was {since} asked for: no worker keeps the schedule", START_WORKER
        )
    return ok("beat", f"The schedule is kept (last {age_s:.0f} s ago)")


def worker(connection: Connection) -> Finding:
    age_s = looking.value(connection, WORKER, {"names": periodic_names()})
    if age_s is None or age_s > WORKER_LATE_S:
        since = "has ever ended a task" if age_s is None else f"has ended a task for {age_s:.0f} s"
        return broken("worker", f"No worker {since}", START_WORKER)
    return ok("worker", f"A worker works (last {age_s:.0f} s ago)")


def overdue(connection: Connection) -> Finding:
    count, oldest_s = looking.rows(connection, OVERDUE, {"late_s": OVERDUE_S})[0]
    if count:
        text = f"{count} tasks are overdue, the oldest by {oldest_s:.0f} s"
        return warning("queue", text, "Start more workers, or raise WORKER_CONCURRENCY.")
    return ok("queue", "No task is overdue")


def failed(connection: Connection) -> Finding:
    names = looking.names(connection, FAILED)
    if names:
        text = f"Tasks were given up within the last day: {', '.join(names[:NAMES_SHOWN])}"
        return warning("failed-tasks", text, "GET /api/0/tasks/ says why in `error`.")
    return ok("failed-tasks", "No task was given up within the last day")


def outbox(connection: Connection) -> Finding:
    types = looking.names(connection, UNDELIVERED, {"late_s": OUTBOX_LATE_S})
    if types:
        kinds = ", ".join(sorted(set(types)))
        text = f"{len(types)} announcements wait for more than {OUTBOX_LATE_S} s: {kinds}"
        return warning("outbox", text, "See the checks `worker` and `failed-tasks`.")
    return ok("outbox", "What was announced has been delivered")


def heard(agents: list[Any], silence_s: int) -> Finding:
    silent = [agent.label for agent in agents if not agent.is_live]
    live = len(agents) - len(silent)
    if not live:
        advice = "Start one: `changes agent --server URL`."
        return warning("agents", f"No agent was heard of within {silence_s} s", advice)
    if silent:
        text = f"Not heard of within {silence_s} s: {', '.join(silent[:NAMES_SHOWN])}"
        return warning("agents", text, "Start them, or revoke those that will not come back.")
    return ok("agents", f"All agents are heard of ({live})")


def versions(agents: list[Any]) -> Finding:
    ours = version("changes")
    others = [
        f"{agent.label} ({agent.version})" for agent in agents if agent.is_live and is_other(agent, ours)
    ]
    if others:
        text = f"Of another version than this one ({ours}): {', '.join(others[:NAMES_SHOWN])}"
        return warning("agent-versions", text, "Upgrade them when it suits; one version apart works.")
    return ok("agent-versions", f"All live agents are of version {ours}")


def held(agents: list[Any]) -> list[Finding]:
    """Of those that told: an agent of an earlier version says nothing of its sandboxes."""
    told = [agent for agent in agents if agent.is_live and agent.sandboxes]
    open_ones = [agent.label for agent in told if "bubblewrap" not in agent.sandboxes]
    unlimited = [agent.label for agent in told if not {"memory", "pids"} <= set(agent.limits)]
    found = []
    if open_ones:
        text = f"Steps are plain processes, which reach what their account can, on {shown(open_ones)}"
        found.append(warning("agent-sandboxes", text, "Install bubblewrap, or build only what is trusted."))
    if unlimited:
        text = f"Steps are held to no limits of memory and processes on {shown(unlimited)}"
        advice = "Give the agent a control group it may write to; what is not trusted is refused there."
        found.append(warning("agent-limits", text, advice))
    return found or [ok("agent-sandboxes", "Steps run in sandboxes, and with limits")]


def shown(names: list[str]) -> str:
    return ", ".join(names[:NAMES_SHOWN]) + (", ..." if len(names) > NAMES_SHOWN else "")


def is_other(agent: Any, ours: str) -> bool:
    return bool(agent.version) and agent.version != ours
