from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents

from changes.builds import again, reasons, retry
from changes.builds.models import Build, JobStep, Node
from changes.builds.reasons import Reason
from changes.builds.rules import Origin, ReplaceLimits, Result, Status

WHY = Reason(reasons.AGENT_LOST, {"node": "n1", "silence_s": 60})


def lose(session: Session, step: JobStep, *, limit: int) -> JobStep | None:
    factories.give_to(session, step, factories.a_node(session))
    return retry.replace_lost_step(session, step, WHY, ReplaceLimits(limit, machines=9))


def chain(session: Session, build: Build, *, limit: int) -> list[JobStep]:
    """Loses every attempt there is."""
    attempts = factories.steps_of(session, build)
    replacement = lose(session, attempts[0], limit=limit)
    while replacement is not None:
        attempts.append(replacement)
        replacement = lose(session, replacement, limit=limit)
    return attempts


def test_a_lost_attempt_points_to_the_next_one(session: Session) -> None:
    build = factories.a_build(session)

    attempts = chain(session, build, limit=2)

    assert [step.attempt for step in attempts] == [1, 2, 3]
    assert [step.replacement_id for step in attempts] == [attempts[1].id, attempts[2].id, None]
    assert {agents.state(step) for step in attempts} == {(Status.FINISHED, Result.INFRA_FAILED)}


def test_after_too_many_lost_attempts_the_job_is_given_up_in_words(session: Session) -> None:
    build = factories.a_build(session)

    chain(session, build, limit=2)

    assert agents.state(build) == (Status.FINISHED, Result.INFRA_FAILED)
    assert agents.reasons_of(session, build.id)[-1] == "replaced_too_often"


def test_the_limit_counts_all_attempts_of_a_job(session: Session) -> None:
    build = factories.a_build(session, plans=2)
    one, other = factories.steps_of(session, build)

    chains = [lose(session, one, limit=1), lose(session, other, limit=1)]

    assert None not in chains


def test_a_new_attempt_is_the_same_work(session: Session) -> None:
    build = factories.a_build(session, commands=["one", "two"])
    old = factories.steps_of(session, build)[0]
    old.cluster = "big"
    old.data = {**old.data, "cpus": 4}

    new = lose(session, old, limit=1)

    assert new is not None
    assert (new.label, new.cluster, new.priority, new.timeout_s) == (
        old.label,
        old.cluster,
        old.priority,
        old.timeout_s,
    )
    assert new.data["cpus"] == 4
    assert [command.script for command in agents.commands_of(session, new)] == ["one", "two"]
    assert {command.status for command in agents.commands_of(session, new)} == {Status.QUEUED}


def test_a_new_attempt_knows_nothing_of_what_was_reported_about_the_old(session: Session) -> None:
    build = factories.a_build(session)
    old = factories.steps_of(session, build)[0]
    old.data = {**old.data, "reported": "released", "late_reports": [{"report": "passed"}]}

    new = lose(session, old, limit=1)

    assert new is not None
    assert not {"reported", "late_reports"} & set(new.data)


def test_a_new_attempt_remembers_the_node_that_lost_the_old(session: Session) -> None:
    build = factories.a_build(session)
    old = factories.steps_of(session, build)[0]

    new = lose(session, old, limit=1)

    assert new is not None
    assert old.node_id is not None
    assert new.data["avoid_nodes"] == [old.node_id.hex]


def lose_on(session: Session, step: JobStep, node: Node, *, machines: int = 2) -> JobStep | None:
    factories.give_to(session, step, node)
    return retry.replace_lost_step(session, step, WHY, ReplaceLimits(6, machines))


def test_when_one_machine_after_the_other_loses_it_the_machines_are_not_to_blame(session: Session) -> None:
    build = factories.a_build(session)
    step: JobStep | None = factories.steps_of(session, build)[0]

    for _ in range(3):
        assert step is not None
        step = lose_on(session, step, factories.a_node(session))

    assert step is None
    assert agents.reasons_of(session, build.id)[-1] == "lost_everywhere"


def test_a_machine_that_lost_it_before_counts_once(session: Session) -> None:
    build = factories.a_build(session)
    first, second = factories.a_node(session), factories.a_node(session)
    step: JobStep | None = factories.steps_of(session, build)[0]

    for node in (first, second, first, second):
        assert step is not None
        step = lose_on(session, step, node)

    assert step is not None


def test_a_new_attempt_avoids_every_machine_that_lost_something_of_the_job(session: Session) -> None:
    build = factories.a_build(session)
    nodes = [factories.a_node(session), factories.a_node(session)]
    step: JobStep | None = factories.steps_of(session, build)[0]

    for node in nodes:
        assert step is not None
        step = lose_on(session, step, node)

    assert step is not None
    assert step.data["avoid_nodes"] == sorted(node.id.hex for node in nodes)


def test_an_attempt_says_why_there_is_it(session: Session) -> None:
    build = factories.a_build(session)

    attempts = chain(session, build, limit=1)

    assert [step.origin for step in attempts] == [Origin.FIRST, Origin.LOST]


def test_what_somebody_asked_for_may_be_lost_as_often_again(session: Session) -> None:
    build = factories.a_build(session)
    chain(session, build, limit=1)
    again.repeat_failed(session, build)

    assert lose(session, factories.steps_of(session, build)[-1], limit=1) is not None
