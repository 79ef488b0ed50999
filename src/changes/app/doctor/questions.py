"""What must be true of the rows of a live system, each as a question for those that are not so.

docs/install/doctor.md explains them to whoever runs a system. A question answers
with one name per offender, and is bounded: newest first, where there may be many.
"""

from dataclasses import dataclass

from changes.app.doctor.findings import State

NEWEST = 5000


@dataclass(frozen=True)
class Question:
    """`promise` is the sentence that is true while nothing is found."""

    name: str
    promise: str
    ask: str
    advice: str
    state: State = State.BROKEN
    can_be_mended: bool = False


TELL = "Keep `changes doctor --json` and the logs of that time, and report it: this should not happen."
SWEEP = "Look whether a worker runs and what its log says: the sweep should have ended these."
BUILD_AGAIN = "Cancel its build, to which the page /steps/ID/ leads, and build it again. " + TELL
NOT_TO_BE_TRUSTED = "What its build says is not to be trusted: build it again. " + TELL
SETTLE = "A report to any of its steps settles it; otherwise cancel and retry the build. " + TELL

# 1. A step has at most one live holder.
HOLDERS = [
    Question(
        "running-is-held",
        "Every step that runs is held by an agent",
        "select 'step ' || id from job_step step"
        " where status in (2, 5) and node_id is null and not exists (select from job join outside_build"
        " on outside_build.build_id = job.build_id where job.id = step.job_id) limit :limit",
        SWEEP,
    ),
    Question(
        "waiting-is-free",
        "No step that waits is held by an agent",
        "select 'step ' || id from job_step where status in (1, 6) and node_id is not null limit :limit",
        BUILD_AGAIN,
    ),
    Question(
        "one-live-attempt",
        "An attempt that was replaced is over",
        "select 'step ' || id from job_step"
        " where replacement_id is not null and status <> 3 order by id desc limit :limit",
        BUILD_AGAIN,
    ),
    Question(
        "attempts-in-order",
        "A new attempt belongs to the same phase as the old one, and counts on",
        "select 'step ' || old.id from job_step old join job_step new on new.id = old.replacement_id"
        # One that is its own successor was set aside, because what named it was asked again.
        " where new.phase_id <> old.phase_id or (new.attempt <= old.attempt and new.id <> old.id)"
        " order by old.id desc limit :limit",
        BUILD_AGAIN,
    ),
    Question(
        "one-agent-per-key",
        "Each key is used by one agent",
        "select 'machine ' || label from node where date_twin_heard > now() - interval '30 min' limit :limit",
        "The home of the agent was copied to another machine: stop it there, remove identity.json and enrol"
        " it anew, or revoke the key on the page of the machine and enrol both.",
        State.WARNING,
    ),
]

# 2. Every request reaches its end, or has a reason to wait.
ENDINGS = [
    Question(
        "build-ends-with-its-jobs",
        "A build whose jobs have all ended has ended",
        "select 'build ' || build.id from build where status <> 3"
        " and exists (select from job where build_id = build.id)"
        " and not exists (select from job where build_id = build.id and status <> 3)"
        " order by id limit :limit",
        SETTLE,
    ),
    Question(
        "job-ends-with-its-phases",
        "A job whose phases have all ended has ended",
        "select 'job ' || job.id from job where status <> 3"
        " and exists (select from job_phase where job_id = job.id)"
        " and not exists (select from job_phase where job_id = job.id and status <> 3)"
        " order by id limit :limit",
        SETTLE,
    ),
    Question(
        "phase-ends-with-its-steps",
        "A phase whose steps have all ended has ended",
        "select 'phase ' || phase.id from job_phase phase where status <> 3"
        " and exists (select from job_step where phase_id = phase.id and replacement_id is null)"
        " and not exists (select from job_step"
        " where phase_id = phase.id and replacement_id is null and status <> 3)"
        " order by id limit :limit",
        SETTLE,
    ),
    Question(
        "nothing-goes-on-below-an-end",
        "Nothing goes on below what has ended",
        "select * from ("
        " select 'job ' || part.id from job part join build whole on whole.id = part.build_id"
        " where part.status <> 3 and whole.status = 3"
        " union all select 'phase ' || part.id from job_phase part join job whole on whole.id = part.job_id"
        " where part.status <> 3 and whole.status = 3"
        " union all select 'step ' || part.id from job_step part"
        " join job_phase whole on whole.id = part.phase_id where part.status <> 3 and whole.status = 3"
        ") as below limit :limit",
        "Cancel the build if its page offers that. " + TELL,
    ),
    Question(
        "builds-are-planned",
        "A build has jobs, or has ended with a reason",
        "select 'build ' || id from build where status <> 3"
        " and date_created < now() - interval '60 s'"
        " and not exists (select from job where build_id = build.id) order by id limit :limit",
        "Cancel it and build again. " + TELL,
    ),
    Question(
        "something-goes-on",
        "A build that has not ended has a step that runs, or waits to",
        "select 'build ' || build.id from build where build.status <> 3"
        " and not exists (select from outside_build where build_id = build.id)"
        " and exists (select from job where build_id = build.id)"
        " and not exists (select from job_step step join job on job.id = step.job_id"
        " where job.build_id = build.id and (step.status in (2, 4, 5, 6)"
        " or step.date_finished > now() - interval '2 min'))"
        " and build.date_created < now() - interval '2 min' order by id limit :limit",
        "Cancel it and build again. " + TELL,
    ),
    Question(
        "jobs-are-let-go",
        "A job that waits for no other one has a step that runs, or waits to",
        "select 'job ' || job.id from job join build on build.id = job.build_id where job.status <> 3"
        " and build.status <> 3 and build.date_created < now() - interval '2 min'"
        " and not exists (select from outside_build where build_id = build.id)"
        " and not exists (select from job_step step where step.job_id = job.id"
        " and (step.status in (2, 4, 5, 6) or step.date_finished > now() - interval '2 min'))"
        " and not exists (select from job_need join job needed on needed.id = needs_id"
        " where job_need.job_id = job.id and (needed.status <> 3"
        " or needed.date_finished > now() - interval '2 min')) order by job.id limit :limit",
        "Cancel the job, and do it again when its build has ended. " + TELL,
    ),
    Question(
        "silent-agents-are-noticed",
        "A step whose agent fell silent is made again",
        "select 'step ' || id from job_step where status in (2, 5) and :could_hear"
        " and last_heartbeat < now() - make_interval(secs => :silence_s + 60) limit :limit",
        SWEEP,
    ),
    Question(
        "limits-are-kept",
        "A step that runs longer than its limit is ended",
        # After an outage the sweep needs a moment, too.
        "select 'step ' || id from job_step where status = 2 and :could_hear"
        " and date_started + make_interval(secs => timeout_s + 240) < now() limit :limit",
        SWEEP,
    ),
    Question(
        "results-are-read",
        "What a step left behind is read, or somebody is about to",
        "select 'step ' || id from job_step where status = 4"
        " and last_heartbeat < now() - interval '17 min' and not exists"
        " (select from task where child_id = job_step.id and state < 3) limit :limit",
        SWEEP,
    ),
    Question(
        "silence-elsewhere-is-noticed",
        "A build that runs elsewhere is heard of, or ended",
        "select 'build ' || build.id from build join outside_build on build_id = build.id"
        " where status in (1, 2) and date_heard < now() - make_interval(mins => :outside_min + 5)"
        " and :could_hear"
        " limit :limit",
        SWEEP,
    ),
    Question(
        "somebody-can-take-them",
        "Where steps wait, some agent is there",
        "select 'step ' || id from job_step where status = 6 and not exists (select from node"
        " where token_digest is not null and date_last_seen > now() - make_interval(secs => :silence_s))"
        " limit :limit",
        "Start an agent: `changes agent --server URL`.",
        State.WARNING,
    ),
]

# 3. What is over does not change.
OVER = [
    Question(
        "over-has-a-result",
        "A step that is over has a result",
        "select 'step ' || id from job_step where status = 3 and result = 0 order by id desc limit :limit",
        NOT_TO_BE_TRUSTED,
    ),
    Question(
        "over-has-a-date",
        "What is over says since when",
        "select * from ("
        " select 'build ' || id from build where status = 3 and date_finished is null"
        " union all select 'job ' || id from job where status = 3 and date_finished is null"
        " union all select 'phase ' || id from job_phase where status = 3 and date_finished is null"
        " union all select 'step ' || id from job_step where status = 3 and date_finished is null"
        ") as undated limit :limit",
        NOT_TO_BE_TRUSTED,
    ),
    Question(
        "nothing-arrives-late",
        "What is over is given no more files",
        "select 'artifact ' || artifact.id from artifact join job_step step on step.id = step_id"
        " where step.status = 3 and artifact.date_created > step.date_finished + interval '10 min'"
        " order by artifact.id desc limit :limit",
        "Look whether the clocks of database and web servers agree. " + TELL,
    ),
]

# 4. Counts equal rows.
COUNTS = [
    Question(
        "numbers-of-builds",
        "No build has a number that its project has not given out",
        "select 'project ' || slug from project join lateral (select max(number) as highest from build"
        " where project_id = project.id) of_builds on true where highest > last_build_number limit :limit",
        "`changes doctor --fix` counts anew.",
        can_be_mended=True,
    ),
    Question(
        "numbers-of-jobs",
        "No job has a number that its build has not given out",
        "select 'build ' || build.id from (select id, last_job_number from build"
        " order by id desc limit :newest) build where last_job_number <"
        " (select max(number) from job where build_id = build.id) limit :limit",
        "`changes doctor --fix` counts anew.",
        can_be_mended=True,
    ),
    Question(
        "tests-of-steps",
        "The numbers of tests shown for a step are those that are stored",
        "select 'step ' || stat.item_id from ("
        " select item_id, value from item_stat where name = 'test_count'"
        " and exists (select from job_step where id = item_id) order by item_id desc limit :newest"
        ") stat join lateral ("
        " select count(*) as tests, count(*) filter (where result = 2) as failures"
        " from test_run run join test_batch batch on run.id >= batch.id and run.id < batch.end_id"
        " and run.id & :batch_mask = batch.id"
        " where step_id = stat.item_id"
        ") counted on true left join item_stat failed"
        " on failed.item_id = stat.item_id and failed.name = 'test_failures'"
        " where stat.value <> tests or coalesce(failed.value, 0) <> failures limit :limit",
        "`changes doctor --fix` counts anew.",
        can_be_mended=True,
    ),
    Question(
        "sums-of-days",
        "The numbers of a project's tests on a day are the sums of its tests",
        "select 'project ' || slug || ' on ' || day from ("
        " select * from project_day where day >= current_date - 7"
        ") shown full join ("
        " select project_id, day, count(*) filter (where runs > 0) as tests, sum(runs) as runs,"
        " sum(failed) as failed from test_day"
        " where day >= current_date - 7 group by 1, 2"
        ") counted using (project_id, day) join project on project.id = project_id"
        " where (shown.tests, shown.runs, shown.failed)"
        " is distinct from (counted.tests, counted.runs, counted.failed) limit :limit",
        "`changes doctor --fix` counts anew.",
        can_be_mended=True,
    ),
    Question(
        "sums-of-jobs-and-builds",
        "The numbers of a job or build are the sums of its steps",
        "with newest as (select id from build order by id desc limit :newest), summed as ("
        " select item.id, stat.name, sum(stat.value) as value from newest"
        " join job on job.build_id = newest.id join job_step step on step.job_id = job.id"
        " join item_stat stat on stat.item_id = step.id"
        " cross join lateral (values (job.id), (newest.id)) as item(id)"
        " where step.replacement_id is null and not stat.name = any(:merged) group by item.id, stat.name"
        ") select 'item ' || summed.id || ' (' || summed.name || ')' from summed left join item_stat shown"
        " on shown.item_id = summed.id and shown.name = summed.name"
        " where shown.value is distinct from summed.value limit :limit",
        "`changes doctor --fix` counts anew.",
        can_be_mended=True,
    ),
    Question(
        "coverage-of-builds",
        "The covered lines of a build are those that its reports have together",
        "select 'build ' || told.build_id from ("
        " select build_id, lines_covered, lines_uncovered from build_coverage"
        " where date_merged < now() - interval '2 min' order by build_id desc limit :newest / 10"
        ") told join build on build.id = told.build_id and build.status = 3 left join lateral ("
        " select sum(bit_count(can)) as executable, sum(bit_count(ran)) as covered"
        " from build_coverage_pack pack, unnest(pack.executable, pack.covered) as each (can, ran)"
        " where pack.build_id = told.build_id"
        ") counted on true left join item_stat shown"
        " on shown.item_id = told.build_id and shown.name = 'lines_covered'"
        " where lines_covered <> coalesce(counted.covered, 0)"
        " or lines_covered + lines_uncovered <> coalesce(counted.executable, 0)"
        " or lines_covered <> coalesce(shown.value, 0) limit :limit",
        "The next report of a step of it is counted with all others. " + TELL,
    ),
]

# 5. An outward action is done once, and announced to all who listen.
OUTWARD = [
    Question(
        "actions-once",
        "No outward action is noted twice",
        "select type || ' of ' || item_id from event group by type, item_id, key"
        " having count(*) > 1 limit :limit",
        "The unique index of the table event is damaged: `reindex table event`.",
    ),
    Question(
        "news-have-listeners",
        "Everything announced has a task for those who listen",
        "select type || ' ' || id from outbox where date_created > now() - interval '1 day'"
        " and not is_waiting"
        " and not exists (select from task where child_id = outbox.id) limit :limit",
        "Mails, hooks and statuses of it were not sent: build it again where that matters. " + TELL,
    ),
    Question(
        "indexes-are-whole",
        "Every index of the database is valid",
        "select indexrelid::regclass::text from pg_index join pg_class on pg_class.oid = indexrelid"
        " where relnamespace = 'public'::regnamespace and not (indisvalid and indisready) limit :limit",
        "Run `reindex index NAME` for each.",
    ),
]

# 7. Bytes of a log are in order and without holes.
LOGS = [
    Question(
        "logs-without-holes",
        "The bytes of every log are there, in order and without holes",
        "select 'log ' || source.id from ("
        " select id, size_bytes from log_source where date_removed is null order by id desc limit :newest"
        ") source left join lateral ("
        ' select max("offset" + size_bytes) as ends, count(*) filter (where "offset" <> coalesce(before, 0)'
        " or octets is distinct from size_bytes) as holes from ("
        ' select "offset", size_bytes, lag("offset" + size_bytes) over (order by "offset") as before,'
        # Of what is compressed: the first number of each frame.
        " case when frames is null then octet_length(data) else ("
        " select sum(get_byte(frames, at) + 256 * get_byte(frames, at + 1) + 65536 * get_byte(frames, at + 2)"
        " + 16777216 * cast(get_byte(frames, at + 3) as bigint))"
        " from generate_series(0, octet_length(frames) - 16, 16) as at) end as octets"
        " from log_chunk where source_id = source.id) chunk"
        ") counted on true where coalesce(ends, 0) <> source.size_bytes or holes > 0 limit :limit",
        "The database lost acknowledged bytes: look at its disk, and whether fsync is on.",
    ),
]

# 10. No crash doubles a result, or loses a task.
CRASHES = [
    Question(
        "tests-once",
        "No test is stored twice for one step",
        "select 'step ' || step_id from test_run run"
        " join test_batch batch on run.id >= batch.id and run.id < batch.end_id"
        " and run.id & :batch_mask = batch.id where step_id in ("
        " select item_id from item_stat where name = 'test_count' order by item_id desc limit :newest"
        ") group by step_id, test_id having count(*) > 1 limit :limit",
        NOT_TO_BE_TRUSTED,
    ),
    Question(
        "lost-tasks-are-found",
        "A task whose worker died is given to another one",
        "select name || ' ' || id from task where state = 1"
        " and lease_until < now() - interval '90 s' limit :limit",
        "Look whether a worker runs, and whether it reaches database and broker.",
    ),
    Question(
        "parents-wake-up",
        "A task whose children have ended goes on",
        "select name || ' ' || id from task where state = 2 and sent_at < now() - interval '90 s'"
        " and not exists (select from task child where child.parent_id = task.id and child.state < 3)"
        " limit :limit",
        "Look whether a worker runs, and what its log says.",
    ),
]

ALL = [*HOLDERS, *ENDINGS, *OVER, *COUNTS, *OUTWARD, *LOGS, *CRASHES]
