"""What is said of a step, and of a build, that waits."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents, collecting, queues

from changes.base import clock, ids
from changes.builds import cancel, groups, machines, retry, waiting
from changes.builds.lanes import Needs, Offer
from changes.builds.models import Build, JobStep
from changes.builds.reasons import AGENT_LOST, Reason
from changes.builds.rules import ReplaceLimits
from changes.builds.waiting import Explanation
from changes.builds.waiting_rules import Block, Facts, Holder, Limit, Machine, decide

LINUX = Needs(cluster="linux")
ANY = Offer()
HOLDER = Holder(ids.new(), "p", 7, 2)
MOMENT = datetime(2026, 1, 31, 12, tzinfo=UTC)


def a_machine(name: str = "m1", offer: Offer = ANY, **differs: Any) -> Machine:
    return Machine(name, offer, **{"slots": 2, **differs})


def in_cluster(*names: str) -> Offer:
    return Offer(frozenset(names))


@pytest.mark.parametrize(
    ("facts", "block", "said"),
    [
        (Facts(Needs(), []), Block.NO_AGENTS, "start one with `changes agent`"),
        (Facts(Needs(), [a_machine(is_live=False)]), Block.NO_AGENTS, "No agent was heard of within 60"),
        (
            Facts(LINUX, [a_machine(offer=in_cluster("mac"))]),
            Block.NEVER,
            "No machine could ever run this: none offers cluster linux.",
        ),
        (
            Facts(Needs(labels={"gpu": "1"}, cpus=8), [a_machine(offer=Offer(cpus=4))]),
            Block.NEVER,
            "none offers label gpu=1 and 8 cpus",
        ),
        (
            Facts(LINUX, [a_machine(), a_machine("far", in_cluster("linux"), is_live=False)]),
            Block.AWAY,
            "Only far could run this, and nothing is heard of it.",
        ),
        (
            Facts(LINUX, [a_machine("l1", in_cluster("linux"), out="drained (new disk)")]),
            Block.OUT,
            "l1 is drained (new disk)",
        ),
        (
            Facts(Needs(), [a_machine()], project_limit=Limit("p", 0, 0)),
            Block.PAUSED,
            "The project p is paused: its limit is 0 steps.",
        ),
        (
            Facts(Needs(), [a_machine()], group_limit=Limit("db", 0, 0)),
            Block.PAUSED,
            "The group db is paused",
        ),
        (
            Facts(Needs(), [a_machine()], project_limit=Limit("p", 2, 2, [HOLDER])),
            Block.LIMIT,
            "The project p runs 2 steps, and its limit is 2 (held by p #7).",
        ),
        (
            Facts(Needs(), [a_machine()], group_limit=Limit("db", 1, 1)),
            Block.GROUP_LIMIT,
            "The group db runs 1 step, and its limit is 1.",
        ),
        (
            Facts(Needs(), [a_machine(held=2)], ahead=1),
            Block.BUSY,
            "the one machine that could run it works on others; 1 step comes before it.",
        ),
        (
            Facts(Needs(), [a_machine(held=2), a_machine("m2", held=2)], ahead=3),
            Block.BUSY,
            "all 2 machines that could run it work on others; 3 steps come before it.",
        ),
        (
            Facts(Needs(), [a_machine(held=2, holders=[HOLDER]), a_machine("m2", held=2, holders=[HOLDER])]),
            Block.BUSY,
            "all 2 machines that could run it work on others (p #7).",
        ),
        (
            Facts(Needs(cpus=4), [a_machine(offer=Offer(cpus=8), free_cpus=3)]),
            Block.NO_ROOM,
            "It needs 4 cpus, and so much is not free on one machine now: m1 has 3 of 8 cpus left.",
        ),
        (
            Facts(
                Needs(cpus=1, memory_mb=900),
                [
                    a_machine("far", offer=Offer(cpus=8, memory_mb=999)),
                    a_machine(
                        "near",
                        offer=Offer(cpus=8, memory_mb=1000),
                        free_cpus=3,
                        free_memory_mb=100,
                        holders=[HOLDER, replace(HOLDER, number=8, memory_mb=900)],
                    ),
                ],
            ),
            Block.NO_ROOM,
            "near has 100 of 1000 MB of memory left (the rest is held by p #8).",
        ),
        (
            Facts(Needs(cpus=8), [a_machine(offer=Offer(cpus=8), free_cpus=3)], kept_on="m1"),
            Block.NO_ROOM,
            "m1 has 3 of 8 cpus left. m1 takes nothing else until it fits.",
        ),
        (
            Facts(Needs(), [a_machine(kept_for="a step of p that needs 8 cpus")], ahead=1),
            Block.KEPT,
            "which comes first and has waited for more than a minute; 1 step comes before it.",
        ),
        (
            Facts(Needs(), [a_machine(kept_for="a step of p that needs 8 cpus"), a_machine("m2")]),
            Block.NEXT,
            "An agent takes it next.",
        ),
        (Facts(Needs(), [a_machine()]), Block.NEXT, "An agent takes it next."),
        (Facts(Needs(), [], not_before=MOMENT), Block.NOT_YET, "not before 2026-01-31 12:00:00 UTC"),
    ],
)
def test_what_holds_it_up_is_said_in_words(facts: Facts, block: Block, said: str) -> None:
    decided = decide(facts)

    assert decided.block == block
    assert said in decided.sentence


def test_of_several_machines_the_nearest_says_what_is_missing() -> None:
    near, far = a_machine(offer=Offer(frozenset({"linux"}), cpus=2)), a_machine(offer=Offer(cpus=2))

    assert decide(Facts(Needs("linux", cpus=4), [far, near])).missing == ["4 cpus"]


def explained(session: Session, build: Build) -> Explanation:
    session.flush()
    (step,) = factories.steps_of(session, build)
    return waiting.explain(session, step, silence_s=60)


def test_who_holds_a_limit_is_named(session: Session) -> None:
    project = queues.a_project(session, "p", options={"queue.limit": "1"})
    first, second = (queues.ask_for(session, project) for _ in range(2))
    queues.hand_out(session, queues.a_node(session))

    told = explained(session, second)

    assert told.waiting.block == Block.LIMIT
    assert told.waiting.limit is not None
    assert [holder.build_id for holder in told.waiting.limit.holders] == [first.id]


def test_who_works_on_the_machines_is_named(session: Session) -> None:
    first, second = (queues.ask_for(session, queues.a_project(session, slug)) for slug in ("p", "q"))
    queues.hand_out(session, queues.a_node(session, slots=1))

    told = explained(session, second).waiting

    assert (told.block, [holder.build_id for holder in told.holders]) == (Block.BUSY, [first.id])
    assert f"(p #{first.number})" in told.sentence


def test_a_machine_on_trial_has_one_slot(session: Session) -> None:
    over = clock.now() - timedelta(minutes=1)
    node = queues.a_node(session, slots=4, quarantined_until=over, quarantines=1)
    first, second = (queues.ask_for(session, queues.a_project(session, slug)) for slug in ("p", "q"))
    queues.hand_out(session, node)

    told = explained(session, second).waiting

    assert (told.block, [each.build_id for each in told.holders]) == (Block.BUSY, [first.id])


def test_who_comes_after_a_step_that_a_machine_is_kept_free_for_is_told_so(session: Session) -> None:
    node = queues.a_node(session, cpus=8, slots=4)
    queues.a_queue(session, "running", cpus=2)
    queues.hand_out(session, node)
    large, small = (queues.a_project(session, slug, cpus=cpus) for slug, cpus in (("large", 8), ("small", 1)))
    first, second = (queues.ask_for(session, project) for project in (large, small))
    queues.grow_old(session, large, 300)

    given = queues.hand_out(session, node)

    assert given == []
    told, mine = explained(session, second).waiting, explained(session, first).waiting
    assert (told.block, mine.block) == (Block.KEPT, Block.NO_ROOM)
    assert f"{node.label} is kept free for a step of large that needs 8 cpus" in told.sentence
    assert f"{node.label} takes nothing else until it fits." in mine.sentence


def test_a_group_is_asked_about_by_the_name_in_the_step(session: Session) -> None:
    build = queues.ask_for(session, queues.a_project(session, "p"))
    queues.change(session, build, data={"concurrency_group": "db"})
    groups.set_limit(session, "db", 0)
    queues.a_node(session)

    assert explained(session, build).waiting.block == Block.PAUSED


def test_machines_that_may_not_work_are_named_with_why(session: Session) -> None:
    build = queues.ask_for(session, queues.a_project(session, "p"))
    queues.a_node(session, label="sick", quarantined_until=clock.now() + timedelta(minutes=5))
    machines.drain(session, queues.a_node(session, label="old"), "replaced soon")

    told = explained(session, build).waiting.sentence

    assert "old is drained (replaced soon)" in told
    assert "sick is in quarantine until" in told


def test_how_many_come_before_it_follows_the_order_of_handing_out(session: Session) -> None:
    queues.a_queue(session, "greedy", 50)
    urgent = queues.a_project(session, "urgent")
    queues.ask_for(session, urgent, priority=queues.URGENT)
    build = queues.ask_for(session, queues.a_project(session, "mine"))
    node = queues.a_node(session)

    ahead = explained(session, build).ahead

    served = 0
    while factories.steps_of(session, build)[0].node_id is None:
        queues.hand_out(session, node)
        queues.end_all(session)
        served += 1
    assert abs(ahead - (served - 1)) <= 1


def test_the_start_is_guessed_from_what_such_steps_took(session: Session) -> None:
    project = queues.a_queue(session, "p", 5)
    (lane,) = queues.lanes_of(session, project)
    lane.typical_s, lane.deviation_s = 100.0, 10.0
    queues.hand_out(session, queues.a_node(session, slots=2), 2)
    session.flush()
    last = session.query(JobStep).filter_by(project_id=project.id, node_id=None).all()[-1]

    estimate = waiting.explain(session, last, silence_s=60).estimate

    assert estimate is not None
    assert estimate.start_in_s == pytest.approx(200, abs=10)
    assert estimate.plus_minus_s > 0


def test_without_any_history_no_start_is_guessed(session: Session) -> None:
    project = queues.a_project(session, "p")
    queues.ask_for(session, project)
    build = queues.ask_for(session, project)
    queues.a_node(session)

    assert explained(session, build).estimate is None


def test_no_start_is_guessed_while_somebody_must_act_first(session: Session) -> None:
    build = queues.ask_for(session, queues.a_project(session, "p", cluster="nowhere"))
    queues.a_node(session)

    told = explained(session, build)

    assert (told.waiting.block, told.estimate) == (Block.NEVER, None)


def test_a_build_says_what_its_oldest_waiting_step_waits_for(session: Session) -> None:
    build = queues.ask_for(session, queues.a_project(session, "p", cluster="arm"))
    queues.a_node(session)
    session.flush()

    assert waiting.sentence(session, build, silence_s=60) == (
        "No machine could ever run this: none offers cluster arm."
    )


def test_a_build_whose_steps_all_run_waits_for_nothing(session: Session) -> None:
    build = factories.a_build(session)
    agents.begin(session, agents.a_taken_step(session, build))

    assert waiting.sentence(session, build, silence_s=60) is None


def test_a_build_whose_results_are_read_says_so(session: Session) -> None:
    build = factories.a_build(session)
    agents.await_results(session, agents.a_taken_step(session, build))

    assert waiting.sentence(session, build, silence_s=60) == waiting.READING


def test_a_build_that_has_ended_waits_for_nothing(session: Session) -> None:
    build = factories.a_build(session)

    cancel.cancel_build(session, build)

    assert waiting.sentence(session, build, silence_s=60) is None


def test_what_a_lost_attempt_suffered_from_stays_to_be_read(session: Session) -> None:
    build = factories.a_build(session)
    step = agents.a_taken_step(session, build)

    lost = Reason(AGENT_LOST, {"node": "n", "silence_s": 60})
    retry.replace_lost_step(session, step, lost, ReplaceLimits(1, 1))
    session.flush()

    assert [each.reason for each in waiting.lost_attempts(session, build.id)] == [AGENT_LOST]


def test_a_machine_that_lost_it_is_not_the_one_that_takes_it_next(session: Session) -> None:
    busy, free = queues.a_node(session, label="busy", slots=1), queues.a_node(session, label="free")
    queues.a_queue(session, "other")
    queues.hand_out(session, busy)
    build = queues.ask_for(session, queues.a_project(session, "mine"))
    (step,) = factories.steps_of(session, build)
    lost = Reason(AGENT_LOST, {"node": "free", "silence_s": 60})
    attempt = retry.replace_lost_step(
        session, factories.give_to(session, step, free), lost, ReplaceLimits(2, 2)
    )
    assert attempt is not None

    told = waiting.explain(session, attempt, silence_s=60).waiting

    assert (told.block, told.machines) == (Block.BUSY, ["busy"])
    assert told.sentence.endswith("free lost it before and gets it only when no other could do it.")


def test_a_machine_that_lost_it_may_have_it_where_there_is_no_other(session: Session) -> None:
    free = queues.a_node(session)
    build = queues.ask_for(session, queues.a_project(session, "mine"))
    (step,) = factories.steps_of(session, build)
    lost = Reason(AGENT_LOST, {"node": "free", "silence_s": 60})
    attempt = retry.replace_lost_step(
        session, factories.give_to(session, step, free), lost, ReplaceLimits(2, 2)
    )
    assert attempt is not None

    assert waiting.explain(session, attempt, silence_s=60).waiting.block == Block.NEXT


# --- not in the queue yet ----------------------------------------------------------------------------

ONE_AFTER_THE_OTHER = """
plans:
  - {name: make, steps: [{label: Compile, commands: [a]}, {label: Link, commands: [b]}]}
  - {name: lint, commands: [c]}
  - {name: deploy, needs: [make, lint], steps: [{commands: [d]}, {commands: [e]}]}
"""


def said_of(session: Session, build: Build) -> dict[str, str]:
    """By the commands of the steps, in the order they are told."""
    session.flush()
    steps = waiting.steps_that_wait(session, build.id, limit=10)
    told = waiting.explain_all(session, steps, silence_s=60)
    assert [each.step_id for each in told] == [step.id for step in steps]
    return {
        agents.commands_of(session, step)[0].script: each.waiting.sentence
        for step, each in zip(steps, told, strict=True)
    }


def test_what_is_not_in_the_queue_yet_says_for_which_job_or_phase_it_waits(session: Session) -> None:
    build = collecting.build_again(session, factories.a_project(session), ONE_AFTER_THE_OTHER)
    queues.a_node(session)

    said = said_of(session, build)

    assert list(said) == ["a", "c", "b", "d", "e"]
    assert said["b"] == "It waits until the phase Compile of its job has passed."
    assert said["d"] == said["e"] == "It waits until the jobs make, lint of this build have passed."


def test_a_job_waits_only_for_those_that_have_not_ended(session: Session) -> None:
    build = collecting.build_again(session, factories.a_project(session), ONE_AFTER_THE_OTHER)
    _, lint = collecting.take(session, build)
    agents.end(session, lint)

    assert said_of(session, build)["d"] == "It waits until the job make of this build has passed."


def test_of_a_job_that_may_run_a_later_step_waits_for_the_phase_before(session: Session) -> None:
    build = collecting.build_again(session, factories.a_project(session), ONE_AFTER_THE_OTHER)
    for _ in range(2):
        for step in collecting.take(session, build):
            agents.end(session, step)

    said = said_of(session, build)

    assert list(said) == ["d", "e"]
    assert said["e"] == "It waits until the phase deploy of its job has passed."
