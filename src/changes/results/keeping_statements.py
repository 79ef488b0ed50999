"""Which rows are kept no longer, as one condition for looking and for doing.

`asked` has for each project until when what ended is kept no longer; null keeps it for ever.
"""

import re

from changes.results import run_numbers
from changes.results.keeping_rules import Kind

VALUE = re.compile(r"(?<!:):([a-z_]+)")
# Runs, is pinned, or is what others refer to: the newest green of a branch, the newest of a project, the
# build of a snapshot that is used, one that an open search looks at, one that is being repeated.
IS_NEEDED = """
    build.status <> 3 or build.date_pinned is not null
    or exists (select from latest_green_build green where green.build_id = build.id)
    or exists (select from snapshot where snapshot.build_id = build.id and snapshot.status in (0, 1, 4))
    or exists (
        select from origin_place place join origin_search search on search.id = place.search_id
        where place.build_id = build.id and search.state = 0
    )
    or exists (select from build again where again.retried_id = build.id and again.status <> 3)
    or not exists (
        select from build newer
        where newer.project_id = build.project_id and newer.id > build.id and newer.status = 3
    )
"""
ENDED = "coalesce(build.date_finished, build.date_created)"
# Nothing goes of what ended later than this, whatever its project says: of most builds no more need be asked.
IS_OLD = f"{ENDED} < cast(:latest as timestamptz)"
# What a build leaves behind is there before it ends, or soon after: younger rows need not be looked at. What
# was brought here later than that is kept as long from then on.
WAS_LEFT_LONG_AGO = "{}.date_created < cast(:latest as timestamptz) + interval '1 day'"
# Looked up row by row: a join would be made of all rows before the first of them is known.
ASKED = """
cross join lateral (
    select (cast(:before as timestamptz[]))[
        array_position(cast(:project_ids as uuid[]), build.project_id)
    ] as before
) asked
"""
# The first rule of the project that fits the name, else what holds for all its files.
BY_NAME = """
left join lateral (
    select true as is_found, rule.before from unnest(
        cast(:rule_projects as uuid[]), cast(:rule_likes as text[]), cast(:rule_before as timestamptz[])
    ) with ordinality as rule (project_id, pattern, before, place)
    where rule.project_id = build.project_id
        and (artifact.name like rule.pattern or artifact.name like '%/' || rule.pattern)
    order by rule.place limit 1
) own on true
"""
FROM = {
    Kind.ARTIFACTS: f"""
        from artifact join job on job.id = artifact.job_id join build on build.id = job.build_id
        {ASKED} {BY_NAME}
        where artifact.date_removed is null and {WAS_LEFT_LONG_AGO.format("artifact")} and {IS_OLD}
            and not ({IS_NEEDED})
            and {ENDED} < case when own.is_found then own.before else asked.before end
    """,
    Kind.LOGS: f"""
        from log_source join job on job.id = log_source.job_id join build on build.id = job.build_id {ASKED}
        where log_source.date_removed is null and {WAS_LEFT_LONG_AGO.format("log_source")} and {IS_OLD}
            and {ENDED} < asked.before and not ({IS_NEEDED})
    """,
    Kind.BUILDS: f"from build {ASKED} where {IS_OLD} and {ENDED} < asked.before and not ({IS_NEEDED})",
    # What is told of no build belongs to no project, and is kept as long as the server says.
    Kind.EVENTS: f"""
        from event left join build on build.id = event.item_id {ASKED}
        where event.date_created < cast(:latest as timestamptz)
            and event.date_created < case when build.id is null then :usual else asked.before end
            and (build.id is null or not ({IS_NEEDED}))
    """,
}
TABLE = {Kind.ARTIFACTS: "artifact", Kind.LOGS: "log_source", Kind.BUILDS: "build", Kind.EVENTS: "event"}
# In the database and in the store.
IN_ROW = "pg_column_size(chunk.data) + coalesce(pg_column_size(chunk.packed), 0)"
CHUNK_BYTES = f"{IN_ROW} + coalesce(chunk.stored_bytes, 0)"
SIZE = {
    Kind.ARTIFACTS: "artifact.size_bytes",
    Kind.LOGS: f"""(
        select sum({CHUNK_BYTES}) from log_chunk chunk where chunk.source_id = log_source.id
    )""",  # noqa: S608 -- put together from the constants above
    Kind.BUILDS: f"""(
        select sum(file.size_bytes) from artifact file join job on job.id = file.job_id
        where job.build_id = build.id and file.date_removed is null
    ) + coalesce((
        select sum({CHUNK_BYTES}) from log_chunk chunk join log_source on log_source.id = chunk.source_id
        join job on job.id = log_source.job_id where job.build_id = build.id
    ), 0)""",  # noqa: S608 -- the same
    Kind.EVENTS: "pg_column_size(event)",
}


def chosen(kind: Kind) -> str:
    """The oldest first, from one on; what somebody works on now goes the next time."""
    name = TABLE[kind]
    return f"select {name}.id {FROM[kind]} and {name}.id > :after order by 1 limit :limit"


def still(kind: Kind) -> str:
    """Of these the ones that may go, held until they are gone."""
    name = TABLE[kind]
    return f"select {name}.id {FROM[kind]} and {name}.id = any(:ids) for update of {name} skip locked"


# Bytes that no other artifact has come back; the rest is kept for those.
ARTIFACTS = f"""
with gone as materialized (
    select build.project_id, artifact.sha256, artifact.size_bytes {FROM[Kind.ARTIFACTS]} limit :limit
),
same as (select sha256, max(size_bytes) as size_bytes, count(*) as files from gone group by sha256)
select 'artifacts', project_id, count(*), coalesce(sum(size_bytes), 0) from gone group by 2
union all
select 'artifacts', null::uuid, null::bigint, coalesce(sum(same.size_bytes), 0) from same where same.files = (
    select count(*) from artifact where artifact.sha256 = same.sha256 and artifact.date_removed is null
)
"""  # noqa: S608 -- put together from the constants above


def counted(kind: Kind) -> str:
    """By project: how many, and how many bytes they say they take; of the first so many."""
    return f"""
        select '{kind.value}', project_id, count(*), coalesce(sum(size_bytes), 0) from (
            select build.project_id, {SIZE[kind]} as size_bytes {FROM[kind]} limit :limit
        ) one group by 2
    """  # noqa: S608 -- put together from the constants above


def of_kind(kind: Kind, statement: str) -> str:
    """With values of its own, so that all kinds can be asked for at once."""
    return VALUE.sub(lambda found: f":{found[1]}_{kind.value}", statement)


# Of artifacts a row without a count tells what comes back.
PREVIEW = " union all ".join(
    of_kind(kind, f"({ARTIFACTS if kind == Kind.ARTIFACTS else counted(kind)})") for kind in FROM
)
REMOVE_LOGS = f"""
with gone as (
    delete from log_chunk chunk where source_id = any(:ids)
    returning key, {IN_ROW} as row_bytes, {CHUNK_BYTES} as chunk_bytes
), source as (
    update log_source set date_removed = now(), is_packed = true where id = any(:ids)
)
select array_agg(key) filter (where key is not null), coalesce(sum(chunk_bytes), 0),
    coalesce(sum(row_bytes), 0) from gone
"""  # noqa: S608 -- put together from the constants above
REMOVE_ARTIFACTS = "update artifact set date_removed = now() where id = any(:ids)"
LOGS_OF_BUILDS = """
select log_source.id from log_source join job on job.id = log_source.job_id
where job.build_id = any(:ids) and log_source.date_removed is null limit :limit
"""
FILES_OF_BUILDS = """
select artifact.id from artifact join job on job.id = artifact.job_id
where job.build_id = any(:ids) limit :limit
"""
DROP_ARTIFACTS = "delete from artifact where id = any(:ids)"
REMOVE_NUMBERS = """
delete from item_stat where item_id = any(:ids)
    or item_id in (select id from job where build_id = any(:ids))
    or item_id in (
        select step.id from job_step step join job on job.id = step.job_id where job.build_id = any(:ids)
    )
"""
REMOVE_TOLD = """
delete from event where item_id = any(:ids) or item_id in (select id from job where build_id = any(:ids))
"""
# Their months are dropped only when all of them is old; the sums of their days stay.
SPANS = """
unnest(
    cast(:batches as bigint[]), cast(:lows as bigint[]), cast(:highs as bigint[])
) as span (batch, low, high)
"""
REMOVE_MESSAGES = f"""
delete from test_message message using {SPANS}
where message.run_id >= span.low and message.run_id < span.high
"""  # noqa: S608 -- put together from a constant
REMOVE_RUNS = f"""
delete from test_run run using {SPANS}
where run.id >= span.low and run.id < span.high and run.id & {run_numbers.BATCH_MASK} = span.batch
"""  # noqa: S608 -- put together from constants
# Of many short batches, each is found by the entry that its runs have in common.
REMOVE_BATCHES = f"""
delete from test_run run using unnest(cast(:batches as bigint[])) as span (batch)
where run.id & {run_numbers.BATCH_MASK} = span.batch
"""  # noqa: S608 -- the mask is a number of ours
REMOVE_BUILDS = "delete from build where id = any(:ids)"
REMOVE_EVENTS = "delete from event where id = any(:ids)"
# In this order: by the rows of builds the others are found.
REST_OF_BUILDS = (REMOVE_NUMBERS, REMOVE_TOLD, REMOVE_BUILDS)
