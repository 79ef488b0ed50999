"""What is said of a machine: one word, its colour, and a sentence. Pure."""

from dataclasses import dataclass

from changes.builds import node_queries
from changes.builds.models import Node
from changes.builds.node_queries import Standing
from changes.web.pages import phrasing

TONES = {
    Standing.REVOKED: "",
    Standing.DISABLED: "aborted",
    Standing.DRAINED: "quarantined",
    Standing.QUARANTINE: "infra",
    Standing.TRIAL: "quarantined",
    Standing.AWAY: "infra",
    Standing.TROUBLED: "infra",
    Standing.ONLINE: "passed",
}


@dataclass(frozen=True)
class NodeWords:
    standing: Standing
    word: str
    tone: str
    sentence: str


def of_node(node: Node, silence_s: int) -> NodeWords:
    standing = node_queries.standing(node, silence_s)
    return NodeWords(standing, standing.value, TONES[standing], sentence(node, standing, silence_s))


def sentence(node: Node, standing: Standing, silence_s: int) -> str:
    why = f" {node.state_reason.rstrip('.')}." if node.state_reason else ""
    if standing == Standing.QUARANTINE and node.quarantined_until is not None:
        until = phrasing.exact(node.quarantined_until)
        return f"It lost steps one after the other, so it gets nothing until {until}; after that one to try."
    if standing == Standing.AWAY and node.date_last_seen is None:
        return "It enrolled and was not heard of yet."
    return {
        Standing.REVOKED: "Its key was revoked; it gets no more work.",
        Standing.DISABLED: f"Disabled: it gets nothing, and what it had is done elsewhere.{why}",
        Standing.DRAINED: f"Drained: it ends what it has and gets nothing new.{why}",
        Standing.TROUBLED: f"It takes no steps: {node.problem.rstrip('.')}.",
        Standing.TRIAL: "Its quarantine is over: it gets one step to try, and is trusted if that ends well.",
        Standing.AWAY: f"After {phrasing.duration(silence_s)} of silence its steps are given to others.",
    }.get(standing, "")
