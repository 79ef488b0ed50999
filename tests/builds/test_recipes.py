from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changes.base.errors import Invalid
from changes.builds import recipes
from changes.builds.rules import CommandType

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(sorted(recipes.FIELDS | recipes.COMMAND_FIELDS))
COMMANDS = st.lists(st.dictionaries(FIELDS, JSON, max_size=4) | JSON, max_size=3)
ANY_DATA = st.fixed_dictionaries({}, optional={"commands": COMMANDS}).flatmap(
    lambda data: st.dictionaries(FIELDS, JSON, max_size=4).map(lambda more: {**more, **data})
)


def read(data: Any) -> recipes.Recipe:
    return recipes.read(recipes.DEFAULT_IMPLEMENTATION, data)


def complaint(data: Any) -> str:
    with pytest.raises(Invalid) as refused:
        read(data)
    return refused.value.message


def read_or_complaint(data: dict[str, Any]) -> recipes.Recipe | str:
    try:
        return read(data)
    except Invalid as error:
        return error.message


@given(ANY_DATA)
def test_whatever_the_data_it_is_read_or_refused_in_words(data: dict[str, Any]) -> None:
    found = read_or_complaint(data)

    if isinstance(found, str):
        assert found.startswith("unable to create build step provided data: ")
    else:
        assert all(command.script.strip() for command in found.commands)
        assert 0 <= found.timeout_min <= recipes.TIMEOUT_MAX_MIN


def test_a_script_alone_is_a_command_named_by_its_first_line() -> None:
    (command,) = read({"commands": ["make test\nmake more"]}).commands

    assert (command.label, command.script) == ("make test", "make test\nmake more")


def test_a_command_says_for_itself_what_the_step_says_for_all() -> None:
    mine = {"script": "x", "path": "sub", "env": {"B": "2"}, "artifacts": ["b.xml"]}

    (command,) = read({"commands": [mine], "path": "top", "env": {"A": 1}, "artifacts": ["a.xml"]}).commands

    assert (command.cwd, command.artifacts) == ("sub", ["b.xml"])
    assert command.env == {"CHANGES": "1", "A": "1", "B": "2"}


def test_reports_are_collected_without_being_asked_for() -> None:
    (command,) = read({"commands": ["x"]}).commands

    assert "junit.xml" in command.artifacts


def test_every_kind_of_command_has_its_name() -> None:
    commands = [{"script": "x", "type": kind.name.lower()} for kind in CommandType]

    assert [command.type for command in read({"commands": commands}).commands] == list(CommandType)


COMPLAINTS: list[tuple[Any, str]] = [
    ([], "data must be a JSON mapping"),
    ({"comands": []}, "unknown field 'comands'"),
    ({"commands": "make"}, "commands must be a list"),
    ({"commands": [5]}, "command 1: must be a script or a mapping"),
    ({"commands": ["x", {}]}, "command 2: script is missing"),
    ({"commands": ["  "]}, "command 1: script is missing"),
    ({"commands": [{"script": "x", "shell": "y"}]}, "command 1: unknown field 'shell'"),
    ({"commands": [{"script": "x", "type": "odd"}]}, "type must be one of default, "),
    ({"commands": [{"script": "x", "path": "/etc"}]}, "command 1: path '/etc' must stay inside the checkout"),
    ({"commands": [{"script": "x", "path": "a/../../b"}]}, "must stay inside the checkout"),
    ({"commands": [{"script": "x", "env": []}]}, "env must be a mapping"),
    ({"commands": [{"script": "x", "artifacts": [1]}]}, "artifacts must be a list of patterns"),
    ({"commands": ["echo \0"]}, "text holds a character that cannot be stored"),
    ({"timeout": "10"}, "timeout must be a whole number from 0 to 10080"),
    ({"timeout": True}, "timeout must be a whole number"),
    ({"cpus": -1}, "cpus must be a whole number"),
    ({"repo_path": ".."}, "must stay inside the checkout"),
]


@pytest.mark.parametrize(("data", "expected"), COMPLAINTS)
def test_what_is_wrong_is_said(data: Any, expected: str) -> None:
    assert expected in complaint(data)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    said = complaint({"timeout": "x", "commands": [{}, 5]})

    assert all(part in said for part in ("timeout must", "command 1: script", "command 2: must"))


def test_an_unknown_implementation_is_named() -> None:
    with pytest.raises(Invalid, match=r"unable to load build step implementation: 'os\.system'"):
        recipes.read("os.system", {})


@pytest.mark.parametrize("implementation", recipes.IMPLEMENTATIONS)
def test_the_names_of_the_original_are_understood(implementation: str) -> None:
    assert len(recipes.read(implementation, {"commands": ["x"]}).commands) == 1
