"""What a look at a repository means, decided without one."""

from datetime import timedelta

import pytest

from changes.projects import mailmap, sync_rules
from changes.projects.sync_rules import Move
from changes.vcs.interface import Block, Person

ANN = Person("Ann", "ann@example.com")


def block(**parents_of: str) -> Block:
    nothing = [""] * len(parents_of)
    people = [ANN] * len(parents_of)
    return Block([*parents_of], [*parents_of.values()], people, people, nothing, nothing, nothing)


def held(blocks: list[Block], heads: dict[str, str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for placed in sync_rules.labelled(blocks, heads, "main"):
        found |= dict(zip(placed.block.shas, placed.branches, strict=True))
    return found


def test_the_default_branch_moves_first() -> None:
    found = sync_rules.moves({"main": "a", "old": "c"}, {"a-topic": "x", "main": "b", "old": "c"}, "main")

    assert found == [Move("main", "a", "b"), Move("a-topic", None, "x")]


def test_a_commit_belongs_to_the_default_branch_alone_or_to_all_that_hold_it() -> None:
    newer, older = block(t2="t1", u1="t1", m2="m1"), block(t1="m1", m1="")

    found = held([newer, older], {"main": "m2", "t": "t2", "u": "u1"})

    assert found == {
        "t2": ("t",),
        "u1": ("u",),
        "m2": ("main",),
        "t1": ("t", "u"),
        "m1": ("main",),
    }


def test_a_hundred_thousand_branches_of_one_commit_are_not_all_written_down() -> None:
    heads = {f"b{number}": "a" for number in range(100_000)}

    found = held([block(a="")], heads)

    assert len(found["a"]) == sync_rules.BRANCHES_MAX


def test_a_long_list_is_told_in_parts_that_keep_its_order() -> None:
    shas = [str(number) for number in range(1201)]

    parts = list(sync_rules.chunks(shas))

    assert [len(part) for part in parts] == [500, 500, 201]
    assert [sha for part in parts for sha in part] == shas


@pytest.mark.parametrize(("failures", "expected_s"), [(1, 30), (2, 60), (4, 240), (50, 3600)])
def test_what_cannot_be_read_is_tried_more_and_more_rarely(failures: int, expected_s: float) -> None:
    assert sync_rules.pause_after_failure_s(failures, 0.5) == expected_s


def test_where_nothing_happens_it_is_looked_rarely_and_never_all_at_once() -> None:
    busy, quiet, dead = (
        sync_rules.pause_after_success_s(20, timedelta(days=days), 0.5) for days in (0, 1, 365)
    )

    assert (busy, quiet, dead) == (20, 432, 900)
    assert sync_rules.pause_after_success_s(20, None, 0) == 16


def test_a_mailmap_says_who_is_who() -> None:
    found = mailmap.parse(
        "# nobody <x@example.com>\n"
        "Ann Proper <ann@example.com>\n"
        "Bob <bob@example.com> <bob@old.example>\n"
        "Cyd <cyd@example.com> cyd <shared@example.com>\n"
        "nonsense\n"
    )

    assert found.proper(Person("ann", "Ann@example.com")) == Person("Ann Proper", "Ann@example.com")
    assert found.proper(Person("b", "bob@old.example")) == Person("Bob", "bob@example.com")
    assert found.proper(Person("Cyd", "shared@example.com")) == Person("Cyd", "cyd@example.com")
    assert found.proper(Person("Dan", "shared@example.com")) == Person("Dan", "shared@example.com")
