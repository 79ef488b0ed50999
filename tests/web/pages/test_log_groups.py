"""Groups that programs mark, in the ways of several systems, and the commands of a step."""

import pytest

from changes.web.pages import log_groups
from changes.web.pages.log_groups import Kind


def grouped(text: str, *commands: str) -> list[tuple[int, int, int, str, bool]]:
    lines = text.split("\n")
    marks = list(log_groups.marks(enumerate(lines, 1), commands))
    return [
        (each.first, each.last, each.depth, each.title, each.is_closed)
        for each in log_groups.groups(marks, len(lines))
    ]


@pytest.mark.parametrize("begin", ["::group::", "##[group]"])
def test_groups_of_github_and_azure_are_closed_at_first(begin: str) -> None:
    end = begin.replace("group", "endgroup")

    assert grouped(f"one\n{begin}Install\ntwo\n{end}\nthree") == [(2, 4, 0, "Install", True)]


def test_sections_of_gitlab_end_by_their_names_and_may_say_that_they_are_closed() -> None:
    text = (
        "\x1b[0Ksection_start:1560896352:outer\r\x1b[0KOuter\n"
        "section_start:1560896353:inner[collapsed=true]\r\x1b[0KInner\n"
        "text\n"
        "section_end:1560896354:inner\r\x1b[0K\n"
        "section_end:1560896355:outer\r\x1b[0K"
    )

    assert grouped(text) == [(1, 5, 0, "Outer", False), (2, 4, 1, "Inner", True)]


def test_folds_of_travis_are_closed_at_first() -> None:
    text = "travis_fold:start:install\r\x1b[0K$ pip install\ndone\ntravis_fold:end:install\r\x1b[0K"

    assert grouped(text) == [(1, 3, 0, "$ pip install", True)]


def test_headings_of_buildkite_end_with_the_next_one() -> None:
    text = "--- Build\ncc\n~~~ Quiet\nls\n+++ Test\nok"

    assert grouped(text) == [
        (1, 2, 0, "Build", False),
        (3, 4, 0, "Quiet", True),
        (5, 6, 0, "Test", False),
    ]


def test_what_failed_in_a_quiet_group_opens_it() -> None:
    assert grouped("~~~ Quiet\nno\n^^^ +++\nmore") == [(1, 4, 0, "Quiet", False)]


def test_commands_of_the_step_are_groups_where_there_are_several() -> None:
    text = "$ make\nmaking\n$ not one of them\n[passed in 1.00 s]\n$ make test\nE"

    assert grouped(text, "make", "make test") == [
        (1, 4, 0, "$ make", False),
        (5, 6, 0, "$ make test", False),
    ]
    assert grouped("$ make\nmaking", "make") == []


def test_a_command_ends_whatever_a_program_left_open() -> None:
    text = "$ one\n::group::Install\nx\n$ two\ny"

    assert grouped(text, "one", "two") == [
        (1, 3, 0, "$ one", False),
        (2, 3, 1, "Install", True),
        (4, 5, 0, "$ two", False),
    ]


def test_a_group_that_never_ends_goes_on_to_the_end_and_is_open() -> None:
    assert grouped("::group::Install\none\ntwo") == [(1, 3, 0, "Install", False)]


@pytest.mark.parametrize(
    "text",
    [
        "--- a/x.py\n+++ b/x.py\n-old\n+new",
        "--- old.txt\n+++ new.txt\n@@",
        "--- /dev/null\n+++ x",
        "--- FAIL: TestOne (0.00s)\n    one_test.go:3",
        "---\nkey: value",
        "---- stdout ----\nx",
        "::endgroup::\n::warning::careful\nsection_end:1:never",
        "$ looks like a command\nx",
        "::group::empty",
        "a ::group::within\na line",
    ],
)
def test_what_only_looks_like_a_group_is_none(text: str) -> None:
    assert grouped(text, "make") == []


def test_groups_are_not_nested_without_end() -> None:
    text = "\n".join(f"::group::{number}\nx" for number in range(1000))

    assert max(depth for _, _, depth, _, _ in grouped(text)) < log_groups.DEPTH_MAX


def test_a_title_has_an_end() -> None:
    [(_, _, _, title, _)] = grouped(f"::group::{'x' * 100_000}\ny\nz")

    assert len(title) == log_groups.TITLE_CHARACTERS


def test_colours_before_a_mark_do_not_hide_it() -> None:
    mark = log_groups.mark_of(1, "\x1b[0m\x1b[36;1m::group::Install")

    assert mark is not None
    assert (mark.kind, mark.title) == (Kind.BEGIN, "Install")
