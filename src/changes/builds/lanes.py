"""Steps enter the queue here, each into the lane of those that are like it.

A lane is one project and person, one priority, and one set of what a machine must have. Its id is made
of these, so nobody has to look for it. A hand-out looks at lanes, of which there are few, and not at
steps, of which there may be a hundred thousand.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from changes.base import db, questions, rows
from changes.base.rows import Beside
from changes.builds import housing
from changes.builds.models import Build, JobStep, Node
from changes.builds.queue_models import Lane
from changes.builds.rules import Status

STEPS_CHANNEL = "steps"
# PostgreSQL takes at most 8,000 bytes; whoever gets "anything" looks by himself.
NOTICE_MAX_BYTES = 7_900
ANYTHING_MAX = 1_000

# What a step asks for, and what its machine must have for the sandbox it needs (housing.py), as the agent
# would choose it. Who asks for a plain process gets it anywhere; strangers are refused it by the agent.
LABELS = """
case when jsonb_typeof(step.data->'labels') = 'object' then step.data->'labels' else '{}' end
|| case
    when step.data->>'sandbox' in ('bubblewrap', 'lxc', 'podman')
        then jsonb_build_object('sandbox:' || (step.data->>'sandbox'), 'yes')
    when step.data->>'sandbox' = 'process' then '{}'
    when step.data->>'image' <> '' then '{"sandbox:podman": "yes"}'
    when not build.is_trusted or step.data->'network' = 'false' then '{"sandbox:bubblewrap": "yes"}'
    else '{}'
end
|| case when build.is_trusted or step.data->>'sandbox' = 'process' then '{}'::jsonb
    else '{"sandbox:limits": "yes"}' end
"""
# Of a step and its build.
ARRIVED = """
    step.id, step.project_id, step.priority, build.is_automatic, step.cluster,
    -- 1 is manual: a person who asks takes the own share, not that of whoever wrote the commit.
    coalesce(
        case when build.cause = 1 and build.asked_by <> ''
            then (select author.id from author where author.email = build.asked_by)
        end,
        build.author_id
    ) as author_id,
    {labels} as labels,
    case when jsonb_typeof(step.data->'cpus') = 'number' then (step.data->>'cpus')::int else 0 end
        as cpus,
    case when jsonb_typeof(step.data->'memory') = 'number' then (step.data->>'memory')::int else 0 end
        as memory_mb,
    nullif(step.data->>'concurrency_group', '') as concurrency_group
""".replace("{labels}", LABELS)
# Each gets its lane, which is made where there is none.
KEYED = """
, classed as (
    select *,
        jsonb_build_array(priority, is_automatic) as class,
        jsonb_build_array(priority, is_automatic, project_id) as project,
        jsonb_build_array(priority, is_automatic, project_id, author_id) as person
    from arrived
), keyed as materialized (
    select *,
        md5(class::text)::uuid as class_turn_id,
        md5(project::text)::uuid as project_turn_id,
        md5(person::text)::uuid as person_turn_id,
        md5((person || jsonb_build_array(cluster, labels, cpus, memory_mb, concurrency_group))::text)::uuid
            as lane_id
    from classed
), missing as materialized (
    select distinct on (keyed.lane_id) keyed.* from keyed
    left join lane on lane.id = keyed.lane_id where lane.id is null
    order by keyed.lane_id
), turns as (
    insert into turn (id)
    select distinct unnest(array[class_turn_id, project_turn_id, person_turn_id]) as id from missing
    order by id
    on conflict do nothing
), lanes as (
    insert into lane (
        id, project_id, priority, is_automatic, author_id, cluster, labels, cpus, memory_mb,
        concurrency_group, class_turn_id, project_turn_id, person_turn_id
    )
    select
        lane_id, project_id, priority, is_automatic, author_id, cluster, labels, cpus, memory_mb,
        concurrency_group, class_turn_id, project_turn_id, person_turn_id
    from missing order by lane_id
    on conflict do nothing
), busy as (
    insert into busy_lane (lane_id)
    select distinct lane_id from keyed
    where not exists (
        select from busy_lane where busy_lane.lane_id = keyed.lane_id and busy_lane.date_quiet is null
    )
), needed as (
    select json_build_array(cluster, labels, cpus, memory_mb, count(*)) as needs
    from keyed group by cluster, labels, cpus, memory_mb
), notice as (
    select json_agg(needs)::text as full_text, (select count(*) from keyed) as count from needed
)
"""
# An agent may look for them as soon as this is committed; it hears of none that is not on the disk.
RING = f"""
pg_notify(
    'steps',
    case when octet_length(full_text) < {NOTICE_MAX_BYTES} then full_text
    else '[[null, null, 0, 0, {ANYTHING_MAX}]]' end
), set_config('synchronous_commit', 'off', true)
"""
# 6 is pending_allocation. Whoever opens a step that waited, or makes another attempt, calls this in the
# same transaction. One that pauses between two attempts is passed over: its time comes while its build is
# somebody else's, and who holds a build may wait for no lock of another one's steps.
ENTER = (
    """
with arrived as materialized (
    select {arrived} from job_step step
    join job on job.id = step.job_id
    join build on build.id = job.build_id
    where step.status = 6 and step.lane_id is null
        and (step.not_before is null or (%(may_have_paused)s and step.not_before <= statement_timestamp()))
    -- Of two who see the same steps, each takes his own and waits for nobody.
    for update of step skip locked
) {keyed}, entered as (
    update job_step set lane_id = keyed.lane_id from keyed where job_step.id = keyed.id
)
select count, {ring} from notice where count > 0
""".replace("{arrived}", ARRIVED)
    .replace("{keyed}", KEYED)
    .replace("{ring}", RING)
)
# Steps of a new build have their lanes when they are written.
ARRIVE = """
arrived as materialized (
    select {arrived}
    from json_to_recordset(%s)
        as step (id uuid, project_id uuid, priority smallint, cluster text, status smallint, data jsonb)
    cross join json_to_record(%s)
        as build (is_automatic boolean, is_trusted boolean, cause smallint, asked_by text, author_id uuid)
    where step.status = 6
) {keyed}
""".replace("{arrived}", ARRIVED).replace("{keyed}", KEYED)
COUNTED = "(select count from (select count, {ring} from notice) rung)".replace("{ring}", RING)
OF_STEP = ("id", "project_id", "priority", "cluster", "status", "data")
OF_BUILD = ("is_automatic", "is_trusted", "cause", "asked_by", "author_id")


@dataclass(frozen=True)
class Needs:
    """What a machine must have for the steps of a lane; the empty one fits every machine."""

    cluster: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    cpus: int = 0
    memory_mb: int = 0

    @property
    def share_a_machine(self) -> bool:
        """Whether it depends on what else the machine does just now."""
        return self.cpus > 0 or self.memory_mb > 0


@dataclass(frozen=True)
class Offer:
    """What a machine has. Of one that never told its size nothing is asked."""

    clusters: frozenset[str] = frozenset()
    labels: Mapping[str, str] = field(default_factory=dict)
    cpus: int = 0
    memory_mb: int = 0

    def suits(self, needs: Needs) -> bool:
        """Whether it could ever run this, empty as it may be."""
        return not self.missing(needs)

    def missing(self, needs: Needs) -> list[str]:
        """What it lacks, in the words a plan uses."""
        lacks = []
        if needs.cluster is not None and needs.cluster not in self.clusters:
            lacks.append(f"cluster {needs.cluster}")
        lacks += [
            housing.words_of_label(name, value)
            for name, value in needs.labels.items()
            if self.labels.get(name) != value
        ]
        if 0 < self.cpus < needs.cpus:
            lacks.append(f"{needs.cpus} cpus")
        if 0 < self.memory_mb < needs.memory_mb:
            lacks.append(f"{needs.memory_mb} MB of memory")
        return lacks


@dataclass(frozen=True)
class Arrival:
    """So many steps with these needs wait since now; None = nobody says what they need."""

    needs: Needs | None
    count: int
    # False: nothing is known to have arrived, some are to look all the same.
    is_news: bool = True


def enter(session: Session) -> int:
    """What this transaction made, or opened; wakes as many agents as there are steps."""
    return enter_all(session, may_have_paused=False)


def enter_due(session: Session) -> int:
    """Those, too, whose time has come. Only in a transaction that does nothing else: it holds no lock
    that somebody waits for who holds one that this waits for.
    """
    return enter_all(session, may_have_paused=True)


def enter_all(session: Session, *, may_have_paused: bool) -> int:
    session.flush()
    found = questions.ask(session, ENTER, {"may_have_paused": may_have_paused})
    if not found:
        return 0
    db.flush_later(session)
    return int(found[0][0])


def entering(build: Build, new: Sequence[Mapping[str, Any]]) -> Beside | None:
    """What writes these new steps (rows.py) puts them into the queue, too; None where none of them waits."""
    if not any(step["status"] == Status.PENDING_ALLOCATION for step in new):
        return None
    steps = [{name: step[name] for name in OF_STEP} for step in new]
    return Beside(
        model=JobStep,
        first=ARRIVE,
        first_values=[rows.as_json(steps), rows.as_json({name: getattr(build, name) for name in OF_BUILD})],
        columns={"lane_id": "lane_of_it"},
        last=COUNTED,
        join="left join (select id, lane_id as lane_of_it from keyed) entered using (id)",
    )


def read_notice(payload: str) -> list[Arrival]:
    """The other end of `enter`: what the database tells those who listen."""
    told = json.loads(payload)
    if isinstance(told, int):
        return [Arrival(None, told, is_news=False)]
    return [
        Arrival(None if labels is None else Needs(cluster, labels, cpus, memory_mb), count)
        for cluster, labels, cpus, memory_mb, count in told
    ]


def wake(session: Session, count: int) -> None:
    """Something changed that may let waiting steps go, and nobody can say which."""
    if count:
        notice = json.dumps([[None, None, 0, 0, count]])
        session.execute(select(func.pg_notify(STEPS_CHANNEL, notice)))


def knock(session: Session, count: int) -> None:
    """So many are to look, in case a notice got lost or time alone has changed something."""
    if count:
        session.execute(select(func.pg_notify(STEPS_CHANNEL, str(count))))


def make_room(session: Session, step: JobStep) -> None:
    """At the end of a step that kept others waiting."""
    if step.is_limited:
        make_room_on(session, {step.node_id: 1})


def make_room_on(session: Session, ended: Mapping[UUID | None, int]) -> None:
    """On each machine so many ended that kept others waiting."""
    wake(session, sum(ended.values()))
    for node_id, count in ended.items():
        if node_id is not None and count:
            # This very machine has room for something larger now, and may be asking for long already.
            session.execute(select(func.pg_notify("leave", node_id.hex)))


def clusters_of(labels: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(name for name in str(labels.get("cluster", "")).split(",") if name)


def offer_of(node: Node) -> Offer:
    return Offer(clusters_of(node.labels), node.labels, node.cpus, node.memory_mb)


def needs_of(lane: Lane) -> Needs:
    return Needs(lane.cluster, lane.labels, lane.cpus, lane.memory_mb)
