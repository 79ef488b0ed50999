"""Steps an earlier run of this agent left behind: what was finished is handed in, the rest given back."""

import logging

from changes.agent.artifacts import Artifact, ArtifactSender, kept
from changes.agent.courier import Courier
from changes.agent.errors import GivenUp, Refused
from changes.agent.processes import Tree, kill_tree
from changes.agent.spool import StepFolder
from changes.agent.steps import Tools
from changes.agent.stopping import StopOrder
from changes.protocol import StepReport

RESTARTED = StepReport(
    status="released",
    reason="agent_restarted",
    message="The agent died while the step ran, and was started again.",
)

log = logging.getLogger("changes.agent")


def recover(folder: StepFolder, tools: Tools) -> None:
    """Returns when the server has taken the step back, or does not want it.

    A step is not taken up again where it was: what its processes print goes through the agent, which
    hides secrets before a byte reaches the disk, so they lost their reader with it.
    """
    try:
        _hand_back(folder, tools)
    except OSError as error:
        log.critical("Step %s cannot be cleared up, which is tried again later: %s", folder.step_id, error)


def _hand_back(folder: StepFolder, tools: Tools) -> None:
    _kill_leftovers(folder)
    report = folder.report()
    log.info("Step %s was left behind: %s.", folder.step_id, "handed in" if report else "given back")
    order = StopOrder()

    def on_end(why: Exception) -> None:
        if isinstance(why, Refused):
            tools.on_refused(why)
        elif not isinstance(why, GivenUp):
            order.give("aborted")

    link = tools.link.for_step(folder.step_id, order.is_aborted)
    folder.console.parent.mkdir(exist_ok=True)
    folder.console.touch()
    if report is not None and report.status == "finished":
        sender = ArtifactSender(link, log.warning, on_end)
        for artifact in _kept(folder):
            sender.send(artifact)
        sender.finish()
    courier = Courier(link, folder.console, on_end, tools.is_alone)
    if courier.finish(report or RESTARTED) or order.is_given:
        tools.spool.drop(folder)


def _kept(folder: StepFolder) -> list[Artifact]:
    """One damaged file must not hold back the result."""
    try:
        return kept(folder.artifacts)
    except ValueError as error:
        log.warning("Artifacts of step %s cannot be read: %s", folder.step_id, error)
        return []


def _kill_leftovers(folder: StepFolder) -> None:
    if running := folder.running():
        kill_tree(Tree(running.mark).with_leader(running.leader))
