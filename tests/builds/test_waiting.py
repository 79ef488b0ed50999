"""What is said of a build that has not ended."""

import pytest
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents

from changes.builds import cancel, retry, waiting
from changes.builds.reasons import AGENT_LOST, Reason
from changes.builds.rules import Status
from changes.builds.waiting import Offered

PENDING = (Status.PENDING_ALLOCATION, None)
NOBODY = Offered([], within_s=60)
SOMEBODY = Offered([[]], within_s=60)


@pytest.mark.parametrize(
    ("unfinished", "agents", "said"),
    [
        ([PENDING], NOBODY, "No agent was heard of within 60 seconds: start one with `changes agent`."),
        ([PENDING], SOMEBODY, "It waits for a free slot of an agent."),
        ([(Status.PENDING_ALLOCATION, "arm")], SOMEBODY, "No agent offers the cluster arm now."),
        (
            [(Status.PENDING_ALLOCATION, "arm")],
            Offered([[], ["x86", "arm"]], 60),
            "It waits for a free slot of an agent.",
        ),
        ([(Status.IN_PROGRESS, None), PENDING], NOBODY, "No agent was heard of within 60 seconds"),
        ([(Status.IN_PROGRESS, None)], SOMEBODY, None),
        ([(Status.COLLECTING_RESULTS, None)], SOMEBODY, waiting.READING),
        ([], SOMEBODY, None),
    ],
)
def test_what_somebody_can_mend_is_said_first(
    unfinished: list[tuple[Status, str | None]], agents: Offered, said: str | None
) -> None:
    decided = waiting.decide(unfinished, agents)

    assert decided == said or (said is not None and (decided or "").startswith(said))


def test_a_build_that_has_ended_waits_for_nothing(session: Session) -> None:
    build = factories.a_build(session)
    assert waiting.sentence(session, build, silence_s=60) is not None

    cancel.cancel_build(session, build)

    assert waiting.sentence(session, build, silence_s=60) is None


def test_what_a_lost_attempt_suffered_from_stays_to_be_read(session: Session) -> None:
    build = factories.a_build(session)
    step = agents.a_taken_step(session, build)

    retry.replace_lost_step(session, step, Reason(AGENT_LOST, {"node": "n", "silence_s": 60}), limit=1)
    session.flush()

    assert [each.reason for each in waiting.lost_attempts(session, build.id)] == [AGENT_LOST]
