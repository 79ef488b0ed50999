"""The queue at one look."""

from datetime import timedelta

from sqlalchemy import event
from sqlalchemy.orm import Session
from tests.builds import queues

from changes.base import clock
from changes.builds import queue_look, waiting
from changes.builds.models import JobStep
from changes.builds.queue_look import Look
from changes.builds.waiting_rules import Block


def look(session: Session) -> Look:
    session.flush()
    return queue_look.look(session, silence_s=60)


def test_lanes_stand_in_the_order_they_are_handed_out(session: Session) -> None:
    for slug, priority in (("late", queues.LAST), ("usual", queues.USUAL), ("urgent", queues.URGENT)):
        queues.ask_for(session, queues.a_project(session, slug), priority=priority)

    shown = [line.project for line in look(session).lanes]

    assert (
        shown == queues.hand_out(session, queues.a_node(session, slots=9), 9) == ["urgent", "usual", "late"]
    )


def test_a_lane_says_how_many_wait_since_when_and_which_is_first(session: Session) -> None:
    project = queues.a_queue(session, "p", 3, cluster="linux", cpus=2)
    queues.grow_old(session, project, 90)

    (line,) = look(session).lanes

    assert (line.seen.waiting, line.needs.cluster, line.needs.cpus) == (3, "linux", 2)
    assert 85 < (clock.now() - line.since).total_seconds() < 600
    assert line.head == min(step.id for step in all_steps(session))


def all_steps(session: Session) -> list[JobStep]:
    return list(session.query(JobStep))


def test_what_pauses_between_two_attempts_is_counted_apart(session: Session) -> None:
    build = queues.ask_for(session, queues.a_project(session, "p"))
    queues.change(session, build, not_before=clock.now() + timedelta(minutes=5))

    seen = look(session)

    assert (seen.pausing, seen.waiting, seen.lanes) == (1, 0, [])
    assert seen.pausing_until is not None


def test_projects_are_shown_with_what_they_hold_and_may_hold(session: Session) -> None:
    limited = queues.a_project(session, "limited", options={"queue.limit": "1"})
    queues.ask_for(session, limited)
    queues.ask_for(session, queues.a_project(session, "free"))
    queues.a_project(session, "quiet")
    queues.hand_out(session, queues.a_node(session), 2)

    uses = look(session).projects.values()

    assert {each.slug: (each.held, each.most) for each in uses} == {"limited": (1, 1), "free": (1, None)}


def test_groups_are_shown_with_what_holds_them(session: Session) -> None:
    build = queues.ask_for(session, queues.a_project(session, "p"))
    queues.change(session, build, data={"concurrency_group": "db"})
    queues.limit_group(session, "db", 1)
    queues.hand_out(session, queues.a_node(session))

    (group,) = look(session).groups.values()

    assert (group.name, group.most, group.held, group.is_reached) == ("db", 1, 1, True)


def test_each_lane_knows_what_its_first_step_waits_for(session: Session) -> None:
    queues.a_queue(session, "nowhere", cluster="arm")
    queues.a_queue(session, "soon")
    queues.a_node(session)

    seen = look(session)

    blocks = {line.project: waiting.of_lane(seen, line).block for line in seen.lanes}
    assert blocks == {"nowhere": Block.NEVER, "soon": Block.NEXT}


def test_a_machine_in_trouble_may_not_work(session: Session) -> None:
    queues.a_node(session, problem="the disk is full")

    ((machine, _),) = look(session).machines

    assert machine.out == "in trouble (the disk is full)"


def test_a_machine_without_a_key_is_none(session: Session) -> None:
    queues.a_node(session, token_digest=None)

    assert look(session).machines == []


def test_of_too_many_lanes_the_most_urgent_are_looked_at(session: Session) -> None:
    for number in range(4):
        queues.a_queue(session, f"p{number}")
    urgent = queues.ask_for(session, queues.a_project(session, "urgent"), priority=queues.URGENT)
    asked = {"silence_s": 60, "most": 2, "step_ids": [], "lane_ids": [], "project_ids": []}

    row = session.execute(queue_look.LOOK, asked).one()

    assert (len(row.lanes), row.lane_count) == (2, 5)
    assert row.lanes[0]["slug"] == urgent.project.slug


def test_it_is_one_question_whatever_waits(session: Session) -> None:
    for number in range(3):
        queues.a_queue(session, f"p{number}", 5)
    queues.a_node(session)
    session.flush()
    told: list[str] = []
    connection = session.connection()

    def note(*about: object) -> None:
        told.append(str(about[2]))

    event.listen(connection, "before_cursor_execute", note)
    look(session)
    event.remove(connection, "before_cursor_execute", note)

    assert len(told) == 1
