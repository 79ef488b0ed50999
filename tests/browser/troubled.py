"""What the demo has none of: lines in the queue, a build that waits and is red at once, work given up."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from changes.builds import lanes

# The newest failed step with failed tests gets a sibling that waits, so its build is red and waits.
RED = """
    select step.id, step.job_id, job.build_id from job_step step
    join job on job.id = step.job_id
    join test_batch batch on batch.step_id = step.id
    join test_run on test_run.id >= batch.id and test_run.id < batch.end_id and test_run.result = 2
    where step.status = 3 and step.result = 2 and step.replacement_id is null
    order by step.id desc limit 1
"""
SIBLING = """
    insert into job_step (id, job_id, phase_id, project_id, label, cluster, priority, timeout_s, data,
        status, result, date_created)
    select gen_random_uuid(), job_id, phase_id, project_id, 'waits', 'nowhere', priority, timeout_s, '{}',
        6, 0, now()
    from job_step where id = :id
"""
GIVEN_UP = """
    insert into task
        (id, name, child_id, state, attempts, due_at, sent_at, error, date_finished, date_created)
    select gen_random_uuid(), 'results.collect_step', gen_random_uuid(), state, 10, now() - interval '1 hour',
        now(), 'OperationalError: ' || repeat('the database is away ', 50), now(), now()
    from (values (0), (4), (4)) states(state)
"""


PAUSED = """
    insert into concurrency_group (id, name, "limit", date_created)
    values (gen_random_uuid(), 'staging', 0, now())
"""
QUARANTINED = """
    update node set quarantined_until = now() + interval '1 hour' where id = (
        select node_id from job_step where node_id is not null group by 1 order by count(*) desc limit 1
    )
"""


def add_troubles(session: Session) -> None:
    red = session.execute(text(RED)).one()
    session.execute(text(SIBLING), {"id": red.id})
    session.execute(text("update job set status = 6, result = 2 where id = :id"), {"id": red.job_id})
    session.execute(text("update build set status = 6, result = 2 where id = :id"), {"id": red.build_id})
    for statement in (GIVEN_UP, PAUSED, QUARANTINED):
        session.execute(text(statement))
    lanes.enter(session)
