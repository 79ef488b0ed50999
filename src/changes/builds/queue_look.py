"""The queue as it stands: machines, lanes, limits and what holds them, by one question whatever waits.

One, because a page has few to ask, and because facts of one moment do not contradict each other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from changes.builds.dispatch import UNKNOWN_S
from changes.builds.lanes import Needs, Offer, clusters_of
from changes.builds.models import JobStep
from changes.builds.queue_position import LaneSeen
from changes.builds.queue_rules import NodeState
from changes.builds.rules import Priority
from changes.builds.waiting_rules import Holder, Limit, Machine

# Lanes are few as a rule; of very many the most urgent are looked at.
LANES_MAX = 1_000
HOLDERS_MAX = 100
OUT = {NodeState.DRAINED: "drained", NodeState.DISABLED: "disabled"}

# Statuses as literals, because only then does PostgreSQL use the partial indexes: 6 waits for an agent,
# 2 and 5 are held by one. Steps are counted in their index; of each lane the first one is looked up.
LOOK = text("""
with counted as materialized (
    select lane_id, count(*) as waiting from job_step
    where status = 6 and lane_id is not null group by lane_id
), option_of as materialized (
    select project_id,
        nullif(max(value) filter (where name = 'queue.weight'), '0')::float as weight,
        max(value) filter (where name = 'queue.limit')::int as most
    from project_option where name in ('queue.weight', 'queue.limit') and value ~ '^[0-9]{1,6}$'
    group by project_id
), held as materialized (
    select step.node_id, step.project_id, step.job_id, step.date_started, lane.concurrency_group,
        coalesce(lane.cpus, 0) as cpus, coalesce(lane.memory_mb, 0) as memory_mb,
        lane.typical_s, lane.deviation_s
    from job_step step left join lane on lane.id = step.lane_id where step.status in (2, 5)
), open_lane as (
    select lane.id, lane.project_id, project.slug, project.name, author.name as author, lane.person_turn_id,
        lane.priority, lane.is_automatic, lane.cluster, lane.labels, lane.cpus, lane.memory_mb,
        lane.concurrency_group, lane.typical_s, lane.deviation_s, counted.waiting,
        greatest(of_project.virtual_time, of_class.clock) as project_start,
        greatest(of_person.virtual_time, of_project.clock) as person_start,
        coalesce(option_of.weight, 1) as weight,
        head.id as head, extract(epoch from head.date_pending) as since,
        case when lane.reserved_until > statement_timestamp() then lane.reserved_node_id end as kept_on
    from counted
    join lane on lane.id = counted.lane_id
    join project on project.id = lane.project_id
    join turn of_class on of_class.id = lane.class_turn_id
    join turn of_project on of_project.id = lane.project_turn_id
    join turn of_person on of_person.id = lane.person_turn_id
    left join author on author.id = lane.author_id
    left join option_of on option_of.project_id = lane.project_id
    cross join lateral (
        select step.id, step.date_pending from job_step step
        where step.status = 6 and step.lane_id = lane.id order by step.id limit 1
    ) head
    order by lane.id = any(:lane_ids) desc, lane.priority desc, lane.is_automatic, project_start,
        person_start, lane.id
    limit :most
), machine as (
    select node.id, node.label, node.labels, node.cpus, node.memory_mb, node.state,
        node.state_reason, node.problem, coalesce(mine.steps, 0) as held, coalesce(mine.cpus, 0) as held_cpus,
        coalesce(mine.memory_mb, 0) as held_memory_mb,
        coalesce(node.date_last_seen > statement_timestamp() - make_interval(secs => :silence_s), false)
            as is_live,
        -- On trial after a quarantine it gets one step, and no more before that has ended well.
        case when node.quarantined_until is null or exists (
            select from job_step where job_step.node_id = node.id and status = 3 and result in (1, 2)
            and date_finished > node.quarantined_until
        ) then node.slots else least(node.slots, 1) end as slots,
        case when node.quarantined_until > statement_timestamp()
            then extract(epoch from node.quarantined_until) end as quarantined_until
    from node left join (
        select node_id, count(*) as steps, sum(cpus) as cpus, sum(memory_mb) as memory_mb
        from held group by node_id
    ) mine on mine.node_id = node.id
    where node.token_digest is not null order by node.label
), project_use as (
    select project.id, project.slug, project.name, option_of.most, coalesce(mine.steps, 0) as held
    from (select project_id, count(*) as steps from held group by project_id) mine
    full join option_of on option_of.project_id = mine.project_id
    join project on project.id = coalesce(mine.project_id, option_of.project_id)
    where mine.steps > 0 or option_of.most is not null
    order by coalesce(mine.steps, 0) desc, project.slug limit :most
), group_use as (
    select name, "limit" as most,
        (select count(*) from held where held.concurrency_group = concurrency_group.name) as held
    from concurrency_group order by name limit :most
), holder as (
    select held.project_id, held.concurrency_group, build.id, project.slug, build.number,
        count(*) as steps
    from held
    join job on job.id = held.job_id
    join build on build.id = job.build_id
    join project on project.id = build.project_id
    where held.project_id = any(:project_ids)
        or held.concurrency_group in (select concurrency_group from lane where id = any(:lane_ids))
    group by held.project_id, held.concurrency_group, build.id, project.slug
    order by build.id limit :most
), worker as (
    -- Only where somebody asks about a step: of a thousand machines that is long to tell.
    select held.node_id, build.id, project.slug, build.number, count(*) as steps,
        sum(held.cpus) as cpus, sum(held.memory_mb) as memory_mb
    from held
    join job on job.id = held.job_id
    join build on build.id = job.build_id
    join project on project.id = build.project_id
    where cardinality(cast(:step_ids as uuid[])) > 0
    group by held.node_id, build.id, project.slug
    order by build.id limit :most
), place as (
    select mine.id, (
        select count(*) from job_step older
        where older.status = 6 and older.lane_id = mine.lane_id and older.id < mine.id
    ) as before
    from job_step mine where mine.id = any(:step_ids)
), pausing as (
    select count(*) as count, extract(epoch from min(not_before)) as until
    from job_step where status = 6 and lane_id is null and not_before > statement_timestamp()
)
select
    statement_timestamp() as now,
    (select count(*) from counted) as lane_count,
    (select coalesce(sum(waiting), 0) from counted)::bigint as waiting,
    (select to_jsonb(pausing) from pausing) as pausing,
    (select coalesce(jsonb_agg(open_lane), '[]') from open_lane) as lanes,
    (select coalesce(jsonb_agg(machine), '[]') from machine) as machines,
    (select coalesce(jsonb_agg(project_use), '[]') from project_use) as projects,
    (select coalesce(jsonb_agg(group_use), '[]') from group_use) as groups,
    (select coalesce(jsonb_agg(holder), '[]') from holder) as holders,
    (select coalesce(jsonb_agg(worker), '[]') from worker) as workers,
    (select coalesce(jsonb_agg(place), '[]') from place) as places,
    (select sentence from disk_room where is_paused) as disk,
    (select coalesce(jsonb_agg(jsonb_build_array(
        node_id, extract(epoch from date_started), typical_s, deviation_s)), '[]') from held) as running
""")


@dataclass(frozen=True)
class LaneLine:
    """Steps that are alike, with the first of them."""

    seen: LaneSeen
    needs: Needs
    project: str
    project_name: str
    author: str | None
    priority: Priority
    is_automatic: bool
    group: str | None
    head: UUID
    since: datetime
    # The machine that takes nothing else until its first step fits (dispatch.py).
    kept_on: UUID | None = None

    @property
    def in_words(self) -> str:
        wanted = [f"{self.needs.cpus} cpus"] if self.needs.cpus else []
        wanted += [f"{self.needs.memory_mb} MB of memory"] if self.needs.memory_mb else []
        return f"a step of {self.project} that needs {' and '.join(wanted)}"


@dataclass(frozen=True)
class ProjectUse:
    id: UUID
    slug: str
    name: str
    held: int
    most: int | None


@dataclass(frozen=True)
class Running:
    """What an agent works on, and how long its like takes; None = nobody knows."""

    node_id: UUID | None
    since: datetime | None
    typical_s: float | None
    deviation_s: float | None


@dataclass(frozen=True)
class Look:
    """`lanes` stand in the order of handing out; there may be more of them than were looked at."""

    now: datetime
    silence_s: int
    lanes: Sequence[LaneLine]
    lane_count: int
    waiting: int
    # Between two attempts, and when the first of these pauses ends.
    pausing: int
    pausing_until: datetime | None
    machines: Sequence[tuple[Machine, UUID]]
    projects: Mapping[UUID, ProjectUse]
    groups: Mapping[str, Limit]
    running: Sequence[Running]
    # How many of its own lane come before each of the steps that were asked about.
    places: Mapping[UUID, int] = field(default_factory=dict)
    holders: Sequence[tuple[UUID, str | None, Holder]] = ()
    # Why nothing is handed out to anybody; None while there is room on the disks.
    disk: str | None = None

    def limit_of_project(self, project_id: UUID) -> Limit | None:
        use = self.projects.get(project_id)
        if use is None or use.most is None:
            return None
        mine = (each for owner, _, each in self.holders if owner == project_id)
        return Limit(use.slug, use.most, use.held, summed(mine))

    def limit_of_group(self, name: str | None) -> Limit | None:
        limit = self.groups.get(name) if name is not None else None
        if limit is None:
            return None
        return Limit(limit.name, limit.most, limit.held, summed(h for _, of, h in self.holders if of == name))


def look(session: Session, *, silence_s: int, steps: Sequence[JobStep] = ()) -> Look:
    """With the place of these steps, and who holds the limits that concern them."""
    asked = {
        "silence_s": silence_s,
        "most": LANES_MAX,
        "step_ids": [step.id for step in steps],
        "lane_ids": [step.lane_id for step in steps if step.lane_id is not None],
        "project_ids": list({step.project_id for step in steps}),
    }
    row = session.execute(LOOK, asked).one()
    workers = by_node(row.workers)
    return Look(
        now=row.now,
        silence_s=silence_s,
        lanes=sorted((lane_line(each) for each in row.lanes), key=turn_of),
        lane_count=row.lane_count,
        waiting=row.waiting,
        pausing=row.pausing["count"],
        pausing_until=moment(row.pausing["until"]),
        machines=[(machine(each, workers.get(each["id"], ())), UUID(each["id"])) for each in row.machines],
        projects={each.id: each for each in map(project_use, row.projects)},
        groups={each["name"]: Limit(each["name"], each["most"], each["held"]) for each in row.groups},
        running=[running(each) for each in row.running],
        places={UUID(each["id"]): each["before"] for each in row.places},
        holders=[holder(each) for each in row.holders],
        disk=row.disk,
    )


def turn_of(line: LaneLine) -> tuple[object, ...]:
    """As dispatch goes through them, apart from who waits for a limit or too long."""
    return (line.seen.rank, line.seen.project_start, line.project, line.seen.person_start, line.since)


def lane_line(row: Mapping[str, Any]) -> LaneLine:
    return LaneLine(
        seen=lane_seen(row),
        needs=Needs(row["cluster"], row["labels"], row["cpus"], row["memory_mb"]),
        project=row["slug"],
        project_name=row["name"],
        author=row["author"],
        priority=Priority(row["priority"]),
        is_automatic=row["is_automatic"],
        group=row["concurrency_group"],
        head=UUID(row["head"]),
        since=datetime.fromtimestamp(row["since"], UTC),
        kept_on=UUID(row["kept_on"]) if row["kept_on"] else None,
    )


def lane_seen(row: Mapping[str, Any]) -> LaneSeen:
    return LaneSeen(
        id=UUID(row["id"]),
        waiting=row["waiting"],
        rank=(-row["priority"], row["is_automatic"]),
        project_id=UUID(row["project_id"]),
        person_id=UUID(row["person_turn_id"]),
        project_start=row["project_start"],
        person_start=row["person_start"],
        charge_s=UNKNOWN_S if row["typical_s"] is None else row["typical_s"],
        weight=row["weight"],
        typical_s=row["typical_s"],
        deviation_s=row["deviation_s"],
    )


def by_node(workers: Sequence[Mapping[str, Any]]) -> dict[str, list[Holder]]:
    found: dict[str, list[Holder]] = {}
    for each in workers:
        holder = Holder(
            UUID(each["id"]), each["slug"], each["number"], each["steps"], each["cpus"], each["memory_mb"]
        )
        found.setdefault(each["node_id"], []).append(holder)
    return found


def machine(row: Mapping[str, Any], holders: Sequence[Holder] = ()) -> Machine:
    return Machine(
        name=row["label"],
        offer=Offer(clusters_of(row["labels"]), row["labels"], row["cpus"], row["memory_mb"]),
        slots=row["slots"],
        held=row["held"],
        free_cpus=row["cpus"] - row["held_cpus"],
        free_memory_mb=row["memory_mb"] - row["held_memory_mb"],
        is_live=row["is_live"],
        out=why_out(NodeState(row["state"]), row["state_reason"], moment(row["quarantined_until"]))
        or (f"in trouble ({row['problem']})" if row["problem"] else None),
        holders=holders,
    )


def why_out(state: NodeState, reason: str, quarantined_until: datetime | None) -> str | None:
    """Why it gets no steps, whether it lives or not. A quarantine that is over is none."""
    if state in OUT:
        return f"{OUT[state]}{f' ({reason})' if reason else ''}"
    if quarantined_until is not None:
        return f"in quarantine until {quarantined_until:%H:%M:%S} UTC, as it lost steps one after the other"
    return None


def project_use(row: Mapping[str, Any]) -> ProjectUse:
    return ProjectUse(UUID(row["id"]), row["slug"], row["name"], row["held"], row["most"])


def running(row: Sequence[Any]) -> Running:
    node_id, since, typical_s, deviation_s = row
    return Running(UUID(node_id) if node_id else None, moment(since), typical_s, deviation_s)


def holder(row: Mapping[str, Any]) -> tuple[UUID, str | None, Holder]:
    found = Holder(UUID(row["id"]), row["slug"], row["number"], row["steps"])
    return UUID(row["project_id"]), row["concurrency_group"], found


def summed(holders: Any) -> list[Holder]:
    """Each build once, the oldest first; of very many the first ones."""
    found: dict[UUID, Holder] = {}
    for each in holders:
        before = found.get(each.build_id)
        steps = each.steps + (before.steps if before else 0)
        found[each.build_id] = Holder(each.build_id, each.project, each.number, steps)
    return sorted(found.values(), key=lambda each: each.build_id)[:HOLDERS_MAX]


def moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
