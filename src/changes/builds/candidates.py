"""Whose turn it is: the lanes of which a machine may have a step, in the order of the queue, in SQL.

The first part of the statement that hands out (dispatch.py), which says what a turn is. It ends with the
steps that are free to be taken, locked: `free`.
"""

# A step that got lost on this machine before goes to another one, unless nobody could do it who has not
# lost it yet.
MAY_TAKE = """(
    job_step.data->'avoid_nodes' is null
    or not job_step.data->'avoid_nodes' ? replace(%(node_id)s::uuid::text, '-', '')
    or not exists (
        select from node other join lane needs on needs.id = job_step.lane_id
        where other.state = 0 and other.token_digest is not null
        and not job_step.data->'avoid_nodes' ? replace(other.id::text, '-', '')
        and other.date_last_seen > statement_timestamp() - make_interval(secs => %(silence_s)s)
        and (other.quarantined_until is null or other.quarantined_until <= statement_timestamp())
        and (
            needs.cluster is null
            or needs.cluster = any(string_to_array(coalesce(other.labels->>'cluster', ''), ','))
        )
        and other.labels @> needs.labels
        and (other.cpus = 0 or needs.cpus <= other.cpus)
        and (other.memory_mb = 0 or needs.memory_mb <= other.memory_mb)
    )
)"""
TURN = ", ".join(
    "{of}." + column
    for column in (
        "by_patience",
        "by_class",
        "project_start",
        "project_time",
        "person_start",
        "person_time",
    )
)
# The first that waits in a lane.
HEAD = """(
    select id, date_pending from job_step where status = 6 and lane_id = {of}.id order by id limit 1
)"""
# Numbers: status 6 pending_allocation, 5 allocated, 2 in_progress, 3 finished; result 1 passed,
# 2 failed; state 0 active; kind 1 a scheduler of the original, which asks for one cluster and no other.
# Literals, because only then does PostgreSQL use the partial indexes. Rows of lanes are narrow, and begin
# with what they are sorted by: in a wide row each column is looked for from the beginning.
CANDIDATES = """
with me as materialized (
    select
        node.id, node.labels, string_to_array(coalesce(node.labels->>'cluster', ''), ',') as clusters,
        node.kind = 1 as is_scheduler, nullif(node.cpus, 0) as cpus, nullif(node.memory_mb, 0) as memory_mb,
        nullif(node.cpus, 0) - coalesce(held.cpus, 0) as free_cpus,
        nullif(node.memory_mb, 0) - coalesce(held.memory_mb, 0) as free_memory_mb,
        case
            when node.quarantined_until is null then %(count)s
            -- After a quarantine one step to try; once that ended well, all is as before.
            when exists (
                select from job_step where job_step.node_id = node.id and status = 3 and result in (1, 2)
                and date_finished > node.quarantined_until
            ) then %(count)s
            else least(%(count)s, greatest(0, 1 - held.steps))
        end as slots
    from node cross join lateral (
        select count(*) as steps, sum(lane.cpus) as cpus, sum(lane.memory_mb) as memory_mb
        from job_step left join lane on lane.id = job_step.lane_id
        where job_step.node_id = node.id and job_step.status in (2, 5)
    ) held
    where node.id = %(node_id)s and node.state = 0 and node.token_digest is not null
        -- While a disk is full (base/room.py) nobody gets anything.
        and not exists (select from disk_room where is_paused)
        and (node.quarantined_until is null or node.quarantined_until <= statement_timestamp())
), suited as materialized (
    select
        coalesce(extract(epoch from head.since)::float, 'infinity') as by_patience,
        lane.is_automatic::int - 2 * lane.priority as by_class,
        (me.cpus is null or lane.cpus <= me.free_cpus)
            and (me.memory_mb is null or lane.memory_mb <= me.free_memory_mb) as fits,
        lane.id, lane.project_id, lane.class_turn_id, lane.project_turn_id, lane.person_turn_id,
        lane.reserved_node_id, lane.reserved_until, lane.concurrency_group
    from me cross join (select distinct lane_id from busy_lane) busy join lane on lane.id = busy.lane_id
    left join lateral (
        -- What is asked first of all is asked once: mostly nothing is looked for here.
        select date_pending as since from job_step
        where %(is_for_overdue)s and status = 6 and lane_id = lane.id order by id limit 1
    ) head on head.since < statement_timestamp() - make_interval(secs => %(overdue_s)s)
    where me.slots > 0
        and (lane.cluster is null or lane.cluster = any(me.clusters))
        and (not me.is_scheduler or lane.cluster is not distinct from me.clusters[1])
        and me.labels @> lane.labels
        and (me.cpus is null or lane.cpus <= me.cpus)
        and (me.memory_mb is null or lane.memory_mb <= me.memory_mb)
), option_of as materialized (
    select project_id,
        max(value) filter (where name = 'queue.weight')::float as weight,
        max(value) filter (where name = 'queue.limit')::int as most
    from project_option where name in ('queue.weight', 'queue.limit') and value ~ '^[0-9]{1,6}$'
    group by project_id
), project_room as materialized (
    select project_id, weight, most - (
        select count(*) from lane join job_step on job_step.lane_id = lane.id
        where most is not null and lane.project_id = option_of.project_id and job_step.status in (2, 5)
    ) as room
    from option_of where project_id in (select project_id from suited)
), group_room as materialized (
    select name, "limit" - (
        select count(*) from lane join job_step on job_step.lane_id = lane.id
        where lane.concurrency_group = concurrency_group.name and job_step.status in (2, 5)
    ) as room
    from concurrency_group where name in (select concurrency_group from suited)
), eligible as materialized (
    -- The smallest goes first: whoever waits too long, the class, then whose turn it is.
    select
        by_patience, by_class,
        greatest(project.virtual_time, class.clock) as project_start, project.virtual_time as project_time,
        greatest(person.virtual_time, project.clock) as person_start, person.virtual_time as person_time,
        suited.id, fits, class_turn_id, project_turn_id, person_turn_id,
        coalesce(nullif(project_room.weight, 0), 1) as weight,
        project_room.room as project_room, group_room.room as group_room,
        reserved_node_id, reserved_until
    from suited
    join turn class on class.id = suited.class_turn_id
    join turn project on project.id = suited.project_turn_id
    join turn person on person.id = suited.person_turn_id
    left join project_room on project_room.project_id = suited.project_id
    left join group_room on group_room.name = suited.concurrency_group
    where coalesce(project_room.room, 1) > 0 and coalesce(group_room.room, 1) > 0
), too_large as materialized (
    -- The first that waits only for the rest of this machine, and for long: it is kept free for it.
    select eligible.*, head.id as head from eligible cross join me cross join lateral {head_of_eligible} head
    where not fits
        and head.date_pending < statement_timestamp() - make_interval(secs => %(reserve_after_s)s)
        and (reserved_node_id is null or reserved_node_id = me.id or reserved_until < statement_timestamp())
    order by {turn}, head.id limit 1
)
""".replace("{head_of_eligible}", HEAD.format(of="eligible")).replace("{turn}", TURN.format(of="eligible"))
# In order, and of those whose turn is the same whoever came first. Whether anything waits in a lane is
# looked at in this order, until enough are found.
IN_FRONT = (
    """(
    select * from (
        select in_turn.*, head.id as head
        from (select * from eligible where fits order by {turn_of_eligible}) in_turn
        cross join lateral {head_of_in_turn} head
        left join too_large on true
        where too_large.id is null or ({turn_of_in_turn}, head.id) < ({turn_of_too_large}, too_large.head)
        limit %(lanes_looked_at)s
    ) looked_at
    order by {turn_of_looked_at}, head
)""".replace("{turn_of_eligible}", TURN.format(of="eligible"))
    .replace("{turn_of_in_turn}", TURN.format(of="in_turn"))
    .replace("{turn_of_too_large}", TURN.format(of="too_large"))
    .replace("{turn_of_looked_at}", TURN.format(of="looked_at"))
    .replace("{head_of_in_turn}", HEAD.format(of="in_turn"))
)
# What of a lane's own matters only when something of it is given.
OF_LANE = """
    lane.cluster, lane.labels, lane.cpus, lane.memory_mb,
    coalesce(lane.typical_s, %(unknown_s)s) as charge_s
"""
IS_LIMITED = """(
    project_room is not null or group_room is not null or lane.cpus > 0 or lane.memory_mb > 0
) as is_limited"""
# Of one step alone only the lane matters: the first one where a step need not avoid this machine.
FIRST = (
    """
, found as materialized (
    select here.*, step.id as step_id from {in_front} here
    cross join lateral (
        select id from job_step
        where status = 6 and lane_id = here.id and {may_take}
        order by id limit 1
        for update skip locked
    ) step
    limit (select slots from me)
), free as materialized (
    select found.*, 1 as number, {of_lane}, {is_limited} from found join lane on lane.id = found.id
)
""".replace("{in_front}", IN_FRONT)
    .replace("{may_take}", MAY_TAKE)
    .replace("{of_lane}", OF_LANE)
    .replace("{is_limited}", IS_LIMITED)
)
# How several steps are served one after the other.
LINE_UP = (
    """
, best as materialized (
    -- More lanes than steps are asked for: each project has several, and the first may be empty by now.
    select found.*, lane.project_id, lane.concurrency_group, {of_lane}, {is_limited}
    from (
        select here.* from {in_front} here
        cross join lateral (
            select from job_step where status = 6 and lane_id = here.id and {may_take} limit 1
        ) one
        limit %(lanes)s
    ) found join lane on lane.id = found.id
), entry as (
    -- Its first, second, ... step, each at the time it would be served.
    select here.*, nth, person_start + (nth - 1) * charge_s as person_at
    from best here
    cross join lateral (
        select count(*) as waiting from (
            select from job_step where status = 6 and lane_id = here.id and {may_take} limit %(count)s
        ) few
    ) counted
    cross join lateral generate_series(1, counted.waiting) nth
), timed as (
    select *, project_start + charge_s / weight * (
        row_number() over (
            partition by project_turn_id order by by_patience, person_at, person_time, head, nth
        ) - 1
    ) as project_at
    from entry
), lined_up as (
    select *, row_number() over (
        order by by_patience, by_class, project_at, project_time, person_at, person_time, head, nth
    ) as place_in_line
    from timed
), counted as (
    select *,
        row_number() over (partition by project_id order by place_in_line) as of_project,
        row_number() over (partition by concurrency_group order by place_in_line) as of_group,
        sum(cpus) over (order by place_in_line) as cpus_so_far,
        sum(memory_mb) over (order by place_in_line) as memory_so_far_mb
    from lined_up
), allowed as (
    select counted.*, row_number() over (order by place_in_line) as number, me.slots
    from counted cross join me
    where (project_room is null or of_project <= project_room)
        and (group_room is null or of_group <= group_room)
        and (me.cpus is null or cpus_so_far <= me.free_cpus)
        and (me.memory_mb is null or memory_so_far_mb <= me.free_memory_mb)
), chosen as materialized (
    -- Lanes with how many steps of each; behind them spare ones, in case somebody holds those.
    select distinct on (id) *, count(*) over (partition by id, number <= slots) as wanted from allowed
    order by id, number
), free as materialized (
    select here.*, step.step_id from (select * from chosen order by number) here
    cross join lateral (
        select id as step_id from job_step
        where status = 6 and lane_id = here.id and {may_take}
        order by id limit here.wanted
        for update skip locked
    ) step
    limit (select slots from me)
)
""".replace("{in_front}", IN_FRONT)
    .replace("{may_take}", MAY_TAKE)
    .replace("{of_lane}", OF_LANE)
    .replace("{is_limited}", IS_LIMITED)
)
CHOOSE, CHOOSE_ONE = CANDIDATES + LINE_UP, CANDIDATES + FIRST
