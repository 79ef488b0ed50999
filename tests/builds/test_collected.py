import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changes.base.errors import Invalid
from changes.builds import collected
from changes.builds.rules import CommandType

STEPS, TESTS, TARGETS = (
    CommandType.COLLECT_STEPS,
    CommandType.COLLECT_TESTS,
    CommandType.COLLECT_BAZEL_TARGETS,
)
GOOD_TESTS = {"cmd": "run {test_names}", "tests": ["a", "b"]}
GOOD_TARGETS = {"cmd": "run {target_names}", "affected_targets": ["//a:a"], "unaffected_targets": ["//b:b"]}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from([
    "phase", "cmd", "path", "env", "artifacts", "label", "tests", "artifact_search_path", "affected_targets",
    "unaffected_targets", "excluded_targets", "dependency_map", "messages", "commands",
])  # fmt: skip


def complaint(kind: CommandType, data: Any) -> str:
    with pytest.raises(Invalid) as refused:
        collected.read(kind, data if isinstance(data, str) else json.dumps(data))
    return refused.value.message


def read_or_complaint(kind: CommandType, text: str) -> object:
    try:
        return collected.read(kind, text)
    except Invalid as error:
        return error.message


def test_commands_are_read_as_those_of_a_plan() -> None:
    data = {"phase": "Build", "commands": ["make a", {"script": "make b", "label": "B", "weight": 2.5}]}

    found = collected.read(STEPS, json.dumps(data))

    assert found.phase == "Build"
    assert [command["script"] for command in found.commands] == ["make a", "make b"]


def test_tests_are_read_with_the_command_that_runs_them() -> None:
    found = collected.read(TESTS, json.dumps({**GOOD_TESTS, "env": {"A": "1"}, "more": "is passed over"}))

    assert (found.phase, found.names, found.surroundings) == ("Run tests", ["a", "b"], {"env": {"A": "1"}})


def test_affected_and_other_targets_are_run() -> None:
    found = collected.read(TARGETS, json.dumps({**GOOD_TARGETS, "excluded_targets": ["//c:c"]}))

    assert (found.names, found.excluded) == (["//a:a", "//b:b"], ["//c:c"])


def test_each_name_is_one_word_of_the_shell() -> None:
    found = collected.read(TESTS, json.dumps(GOOD_TESTS))

    assert found.script_for(["a/b.py::test[x]", "two words", "$(reboot)", "plain"]) == (
        "run 'a/b.py::test[x]' 'two words' '$(reboot)' plain"
    )


COMPLAINTS: list[tuple[CommandType, Any, str]] = [
    (STEPS, '{\n  "commands": [\n    "make"\n    "test"\n  ]\n}', "it is not JSON: line 4, column 5: "),
    (STEPS, "[" * 100_000, "it is not JSON: "),
    (STEPS, "[]", "it must be a JSON object"),
    (STEPS, '{"commands": ["\\u0000"]}', "text holds a character that cannot be stored"),
    (STEPS, {}, "commands must be a list"),
    (STEPS, {"commands": [5]}, "command 1: must be a script or a mapping"),
    (
        STEPS,
        {"commands": ["a", {"script": "b", "weigt": 1}]},
        "command 2: unknown field 'weigt', did you mean",
    ),
    (STEPS, {"commands": [{"script": "b", "weight": -1}]}, "command 1: weight must be a number"),
    (STEPS, {"commands": [{"script": "b", "weight": True}]}, "command 1: weight must be a number"),
    (STEPS, {"commands": [{"script": "b", "type": "collect_steps"}]}, "type must be one of default, setup, "),
    (STEPS, {"commands": [{"script": "b", "path": ".."}]}, "must stay inside the checkout"),
    (STEPS, {"commands": ["x"] * 5001}, "there are 5001 commands; at most 5000 can be run"),
    (STEPS, {"commands": [], "phase": 5}, "phase must be text"),
    (TESTS, {"tests": ["a"]}, "cmd is missing"),
    (TESTS, {"cmd": "run", "tests": ["a"]}, "cmd must contain {test_names}"),
    (TESTS, {"cmd": "run {test_names}"}, "tests must be a list of names"),
    (TESTS, {**GOOD_TESTS, "tests": []}, "tests is empty: nothing was collected"),
    (TESTS, {**GOOD_TESTS, "tests": ["a", 5]}, "test 2: must be a name of at most 2048 characters"),
    (TESTS, {**GOOD_TESTS, "tests": ["a", "b", "a"]}, "test 3: 'a' is listed twice"),
    (TESTS, {**GOOD_TESTS, "env": []}, "env must be a mapping"),
    (TESTS, {**GOOD_TESTS, "artifact_search_path": "/etc"}, "must stay inside the checkout"),
    (
        TESTS,
        {**GOOD_TESTS, "tests": [str(each) for each in range(100_001)]},
        "there are 100001 tests; at most",
    ),
    (TARGETS, {"cmd": "x {target_names}", "affected_targets": []}, "unaffected_targets must be a list"),
    (TARGETS, {**GOOD_TARGETS, "cmd": "x {test_names}"}, "cmd must contain {target_names}"),
    (TARGETS, {**GOOD_TARGETS, "unaffected_targets": ["//a:a"]}, "'//a:a' is listed twice"),
    (TARGETS, {**GOOD_TARGETS, "dependency_map": {"//a:a": "x"}}, "dependency_map must map targets"),
    (TARGETS, {**GOOD_TARGETS, "messages": [1]}, "messages must be a list of texts"),
    (TESTS, " " * (10 * 1024 * 1024 + 1), "it is larger than 10 MiB"),
]


@pytest.mark.parametrize(("kind", "data", "expected"), COMPLAINTS, ids=range(len(COMPLAINTS)))
def test_what_is_wrong_is_said_with_its_place(kind: CommandType, data: Any, expected: str) -> None:
    assert expected in complaint(kind, data)


@given(st.sampled_from([STEPS, TESTS, TARGETS]), st.dictionaries(KEYS, JSON, max_size=5) | JSON)
def test_whatever_is_printed_it_is_read_or_refused_in_words(kind: CommandType, data: object) -> None:
    assert read_or_complaint(kind, json.dumps(data))


@given(st.sampled_from([STEPS, TESTS, TARGETS]), st.text(max_size=40))
def test_no_text_at_all_makes_it_stumble(kind: CommandType, text: str) -> None:
    assert read_or_complaint(kind, text)
