"""What must be true of the queue: lanes, turns, limits, and who holds what."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from changes.app.doctor.findings import State
from changes.app.doctor.questions import SWEEP, Question
from changes.builds import lanes, tending

ENTER_ANEW = "`changes doctor --fix` lets them enter anew."
# What lanes.py makes a lane of, as far as a step says it itself.
IN_ANOTHER_LANE = """
    lane.project_id <> step.project_id or lane.priority <> step.priority
    or lane.cluster is distinct from step.cluster
    or lane.labels <> ({labels})
    or lane.cpus <> case when jsonb_typeof(step.data->'cpus') = 'number' then (step.data->>'cpus')::int
        else 0 end
    or lane.memory_mb <> case when jsonb_typeof(step.data->'memory') = 'number'
        then (step.data->>'memory')::int else 0 end
    or lane.concurrency_group is distinct from nullif(step.data->>'concurrency_group', '')
""".replace("{labels}", lanes.LABELS)
# The id of a lane is made of all it says, as lanes.py makes it.
IS_OTHERWISE = """
    id <> md5((
        jsonb_build_array(priority, is_automatic, project_id, author_id)
        || jsonb_build_array(cluster, labels, cpus, memory_mb, concurrency_group)
    )::text)::uuid
"""
NO_NUMBER = "('NaN'::float, 'Infinity'::float, '-Infinity'::float)"
WAITS_ELSEWHERE = """
select 'step ' || step.id from job_step step join lane on lane.id = step.lane_id
join job on job.id = step.job_id join build on build.id = job.build_id
where step.status = 6 and ({wrong}) limit :limit
"""
SAYS_OTHERWISE = "select 'lane ' || id from lane where {wrong} limit :limit"
HAS_NO_TURN = """
select 'lane ' || lane.id from lane
cross join lateral unnest(array[class_turn_id, project_turn_id, person_turn_id]) as needed (id)
left join turn on turn.id = needed.id
where turn.id is null or turn.virtual_time in {none} or turn.clock in {none} limit :limit
"""
NOT_LOOKED_AT = """
select distinct 'lane ' || lane_id from job_step where status = 6 and date_pending < now() - interval '1 min'
    and lane_id is not null and not exists (select from busy_lane where busy_lane.lane_id = job_step.lane_id)
limit :limit
"""

QUEUE = [
    Question(
        "waiting-is-in-line",
        "A step that waits for an agent stands in a lane, once its time has come",
        "select 'step ' || step.id from job_step step where status = 6 and date_pending < now() -"
        " interval '1 min' and coalesce(not_before < now() - interval '1 min', true)"
        " and not exists (select from lane where lane.id = step.lane_id) limit :limit",
        f"The beat lets them enter within a second: look whether a worker runs. {ENTER_ANEW}",
        can_be_mended=True,
    ),
    Question(
        "lanes-are-right",
        "A step that waits stands among those that need the same",
        WAITS_ELSEWHERE.format(wrong=IN_ANOTHER_LANE),
        ENTER_ANEW,
        can_be_mended=True,
    ),
    Question(
        "lanes-do-not-change",
        "A lane is what it was when it was made",
        SAYS_OTHERWISE.format(wrong=IS_OTHERWISE),
        ENTER_ANEW,
        can_be_mended=True,
    ),
    Question(
        "lanes-have-turns",
        "Every lane has its turn, and what everybody got so far is a number",
        HAS_NO_TURN.format(none=NO_NUMBER),
        "Its steps are never handed out. `changes doctor --fix` gives it a turn, from the beginning.",
        can_be_mended=True,
    ),
    Question(
        "lanes-are-looked-at",
        "A lane in which a step waits is one that hand-outs look at",
        NOT_LOOKED_AT,
        "The beat adds it within ten seconds: look whether a worker runs. `changes doctor --fix` adds it.",
        can_be_mended=True,
    ),
    Question(
        "holders-are-heard",
        "A step that runs is held by an agent that is heard of",
        "select 'step ' || step.id || ' on ' || node.label from job_step step join node on node.id = node_id"
        " where step.status in (2, 5) and :could_hear"
        " and coalesce(node.date_last_seen < now() - make_interval(secs => :silence_s + 60), true)"
        " limit :limit",
        SWEEP,
    ),
    Question(
        "groups-keep-their-limit",
        "No group has more steps running than its limit",
        "select 'group ' || name from concurrency_group where \"limit\" < ("
        " select count(*) from lane join job_step on job_step.lane_id = lane.id"
        " where lane.concurrency_group = concurrency_group.name and job_step.status in (2, 5)"
        ") limit :limit",
        "That is so for a while after a limit was lowered; nothing new is handed out meanwhile.",
        State.WARNING,
    ),
    Question(
        "projects-keep-their-limit",
        "No project has more steps running than its limit",
        "select 'project ' || slug from project_option join project on project.id = project_id"
        " where project_option.name = 'queue.limit' and value ~ '^[0-9]{1,6}$' and value::int < ("
        " select count(*) from lane join job_step on job_step.lane_id = lane.id"
        " where lane.project_id = project.id and job_step.status in (2, 5)) limit :limit",
        "That is so for a while after a limit was lowered; nothing new is handed out meanwhile.",
        State.WARNING,
    ),
]

# Turns that nobody knows begin where everybody began.
MAKE_TURNS = """
insert into turn (id) select distinct unnest(array[class_turn_id, project_turn_id, person_turn_id])
from lane order by 1 on conflict do nothing
"""
MEND_TIMES = "update turn set virtual_time = 0 where virtual_time in {none}"
MEND_CLOCKS = "update turn set clock = 0 where clock in {none}"
DROP_LANES = "delete from lane where {wrong}"
LEAVE_LANES = """
update job_step step set lane_id = null from lane, job, build
where lane.id = step.lane_id and job.id = step.job_id and build.id = job.build_id
    and step.status = 6 and ({wrong})
"""
LEAVE_NO_LANE = """
update job_step step set lane_id = null
where status = 6 and lane_id is not null and not exists (select from lane where lane.id = step.lane_id)
"""
MENDS = (
    DROP_LANES.format(wrong=IS_OTHERWISE),
    MAKE_TURNS,
    MEND_TIMES.format(none=NO_NUMBER),
    MEND_CLOCKS.format(none=NO_NUMBER),
    LEAVE_LANES.format(wrong=IN_ANOTHER_LANE),
    LEAVE_NO_LANE,
)


def mend(session: Session) -> int:
    """How many steps entered the queue anew."""
    for statement in MENDS:
        session.execute(text(statement))
    tending.tend_lanes(session)
    return lanes.enter_due(session)
