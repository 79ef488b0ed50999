"""Whether what was lost points at one machine, or at something that all of them share."""

import pytest

from changes.base import ids
from changes.builds.infra_failures import Group
from changes.builds.models import Node
from changes.web.pages import infra_words


def lost(counts: dict[tuple[str, str], int]) -> list[Group]:
    nodes = {name: Node(id=ids.new(), label=name) for name, _ in counts}
    return [Group(nodes[name], reason, count, None) for (name, reason), count in counts.items()]


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({("a", "agent_lost"): 5, ("a", "agent_says"): 3, ("b", "agent_lost"): 1}, "a lost 8 of 9: drain it"),
        (
            {("a", "agent_lost"): 2, ("b", "agent_lost"): 2, ("c", "agent_lost"): 3},
            "3 machines lost 7 of 7 for one reason (agent lost): look at what they share",
        ),
    ],
)
def test_what_most_losses_have_in_common_is_named(counts: dict[tuple[str, str], int], words: str) -> None:
    suspect = infra_words.suspect_in(lost(counts))

    assert suspect is not None
    assert suspect.text.startswith(words)


@pytest.mark.parametrize(
    "counts",
    [
        {},
        {("a", "agent_lost"): 4},
        {("a", "agent_lost"): 3, ("b", "agent_says"): 3},
        {("a", "agent_lost"): 4, ("a", "agent_stopped"): 9},
        {("a", "agent_lost"): 3, ("b", "agent_lost"): 3},
    ],
)
def test_few_losses_or_different_ones_point_at_nobody(counts: dict[tuple[str, str], int]) -> None:
    assert infra_words.suspect_in(lost(counts)) is None
