"""When a step leaves its machine: room for others, and doubt about a machine that loses one after the other.

A machine in quarantine gets nothing for a while, then one step to try (dispatch.py). What its steps did
before an operator let it in again does not count.
"""

from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, Text, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session, aliased

from changes.base import bell, clock
from changes.base.process import settings
from changes.base.task import NOW
from changes.builds import lanes, queue_rules, reasons
from changes.builds.models import FailureReason, JobStep, Node
from changes.builds.queue_queries import first_id_at
from changes.builds.queue_rules import NodeState
from changes.builds.rules import Result, Status

LEAVE_CHANNEL = "leave"
# What another machine could not check out either, within this time, is no fault of this one.
CHECKED_OUT_NOWHERE_WITHIN, LOOKED_BACK = timedelta(hours=1), timedelta(days=1)

log = structlog.get_logger()


def note_end(session: Session, step: JobStep) -> None:
    """Called with the step in its new state, whatever that is."""
    if step.status not in (Status.COLLECTING_RESULTS, Status.FINISHED):
        return
    lanes.make_room(session, step)
    if step.status == Status.FINISHED and step.result == Result.INFRA_FAILED and step.node_id is not None:
        doubt(session, step.node_id)


def doubt(session: Session, node_id: UUID) -> None:
    limit = settings.get().node_quarantine_after
    # Not waited for: whoever holds the machine's row may be waiting for the build that we hold.
    mine = select(Node).where(Node.id == node_id).with_for_update(skip_locked=True)
    node = session.execute(mine.execution_options(populate_existing=True)).scalar_one_or_none()
    if node is None or not queue_rules.is_to_be_quarantined(newest_lost(session, node, limit), limit=limit):
        return
    now = session.execute(select(NOW)).scalar_one()
    is_waiting = node.quarantined_until is not None and node.quarantined_until > now
    if is_waiting or not others_live(session, node):
        # It is out already, or nobody else is there: a machine that may fail is better than none.
        return
    for_s = queue_rules.quarantine_s(settings.get().node_quarantine_s, earlier=node.quarantines)
    node.quarantined_until = now + timedelta(seconds=for_s)
    node.quarantines += 1
    log.warning("node in quarantine", node=node.label, lost=limit, seconds=for_s)
    tell(session, node_id)


def newest_lost(session: Session, node: Node, limit: int) -> list[bool]:
    """Of the newest steps of this machine, newest first, whether it lost them."""
    innocent = select(FailureReason.id).where(
        FailureReason.step_id == JobStep.id, FailureReason.reason.in_(reasons.INNOCENT)
    )
    newest = select(JobStep.result).where(
        JobStep.node_id == node.id, JobStep.status == Status.FINISHED, ~innocent.exists()
    )
    newest = newest.where(~(could_not_check_out(JobStep) & could_nobody_check_out()))
    if node.date_trusted is not None:
        newest = newest.where(JobStep.date_finished > node.date_trusted)
    found = session.execute(newest.order_by(JobStep.id.desc()).limit(limit)).scalars()
    return [result == Result.INFRA_FAILED for result in found]


def could_not_check_out(step: type[JobStep]) -> ColumnElement[bool]:
    said = select(FailureReason.id).where(FailureReason.step_id == step.id)
    return said.where(FailureReason.reason == reasons.CHECKOUT_FAILED).exists()


def is_lost_lately(step: type[JobStep]) -> list[ColumnElement[bool]]:
    """With the number of the result in the text, as the index of what was lost has it."""
    lost: ColumnElement[Result] = bindparam(None, Result.INFRA_FAILED, literal_execute=True)
    return [step.result == lost, step.id > first_id_at(clock.now() - LOOKED_BACK)]


def could_nobody_check_out() -> ColumnElement[bool]:
    """Another machine failed there with the same project: its repository is away, or locked."""
    other = aliased(JobStep)
    elsewhere = select(other.id).where(*is_lost_lately(other))
    elsewhere = elsewhere.where(other.project_id == JobStep.project_id, other.node_id != JobStep.node_id)
    lately = elsewhere.where(other.date_finished > JobStep.date_finished - CHECKED_OUT_NOWHERE_WITHIN)
    return lately.where(could_not_check_out(other)).exists()


def others_live(session: Session, node: Node) -> bool:
    """Of its clusters, for no machine of another one does what it did."""
    since = func.now() - timedelta(seconds=settings.get().node_silence_max_s)
    live = select(Node.id).where(
        Node.id != node.id,
        Node.state == NodeState.ACTIVE,
        Node.token_digest.is_not(None),
        Node.date_last_seen > since,
        Node.quarantined_until.is_(None),
    )
    mine = sorted(lanes.clusters_of(node.labels))
    if mine:
        theirs = func.string_to_array(Node.labels["cluster"].astext, ",", type_=ARRAY(Text))
        live = live.where(theirs.contains(mine))
    return session.execute(live.limit(1)).first() is not None


def lift_quarantines(session: Session) -> int:
    """Of machines that have proved themselves after it, and of those that turn out not to be to blame."""
    proved = select(JobStep.id).where(
        JobStep.node_id == Node.id,
        JobStep.status == Status.FINISHED,
        JobStep.result.in_((Result.PASSED, Result.FAILED)),
        JobStep.date_finished > Node.quarantined_until,
    )
    lifted = update(Node).where(Node.quarantined_until < NOW, proved.exists())
    trusted = lifted.values(quarantined_until=None, quarantines=0, date_trusted=NOW).returning(Node.id)
    found = [*session.execute(trusted).scalars(), *lift_unjust(session)]
    for node_id in found:
        tell(session, node_id)
    return len(found)


def lift_unjust(session: Session) -> list[UUID]:
    """Others could not check out either what this machine lost: that is known only when they tried."""
    limit = settings.get().node_quarantine_after
    innocent = select(JobStep.id).where(JobStep.node_id == Node.id, *is_lost_lately(JobStep))
    innocent = innocent.where(could_not_check_out(JobStep), could_nobody_check_out())
    waiting = select(Node).where(Node.quarantined_until > NOW, innocent.exists())
    waiting = waiting.with_for_update(skip_locked=True)
    lifted = []
    for node in session.execute(waiting.execution_options(populate_existing=True)).scalars().all():
        if not queue_rules.is_to_be_quarantined(newest_lost(session, node, limit), limit=limit):
            node.quarantined_until, node.quarantines = None, max(0, node.quarantines - 1)
            lifted.append(node.id)
    session.flush()
    return lifted


def tell(session: Session, node_id: UUID) -> None:
    """To its agent, which asks again, and to those who look at it."""
    bell.tell(session, f"{LEAVE_CHANNEL}:{node_id.hex}", f"node:{node_id.hex}")
