from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changes.base.errors import Invalid
from changes.builds import implementations, recipes
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


@pytest.mark.parametrize("kind", list(CommandType))
def test_every_kind_of_command_has_its_name(kind: CommandType) -> None:
    (command,) = read({"commands": [{"script": "x", "type": kind.name.lower()}]}).commands

    assert command.type == kind


def test_a_step_that_collects_runs_its_collector_and_what_the_machine_needs() -> None:
    commands = [
        {"script": "machine", "type": "infra_setup"},
        {"script": "set up", "type": "setup"},
        {"script": "collect", "type": "collect_tests"},
        {"script": "tear down", "type": "teardown"},
    ]

    recipe = read({"commands": commands})

    assert [(place, each.script) for place, each in recipe.commands_to_run] == [
        (0, "machine"),
        (2, "collect"),
    ]


def test_values_of_variables_are_written_as_in_the_file() -> None:
    (command,) = read({"commands": ["x"], "env": {"A": True, "B": 1.5, "C": None}}).commands

    assert command.env == {"CHANGES": "1", "A": "true", "B": "1.5", "C": ""}


def test_other_repositories_are_checked_out_at_what_they_are_called_by_the_remote() -> None:
    others = [
        {"repo": "https://example.com/lib.git", "path": "lib", "revision": "origin/stable"},
        {"repo": "https://example.com/tools", "path": "tools", "backend": "hg"},
    ]

    recipe = read({"commands": ["x"], "other_repos": others})

    assert [(each.path, each.backend, each.revision) for each in recipe.other_repos] == [
        ("lib", "git", "stable"),
        ("tools", "hg", "default"),
    ]


COMPLAINTS: list[tuple[Any, str]] = [
    ([], "data must be a JSON mapping"),
    ({"comands": []}, "unknown field 'comands'"),
    ({"commands": "make"}, "commands must be a list"),
    ({"commands": [["make"]]}, "command 1: must be a script or a mapping"),
    ({"commands": [True]}, "a mapping, and true is neither without quotes"),
    ({"sparse": "docs"}, "sparse must be a list of paths"),
    ({"sparse": ["docs", "../other"]}, "sparse must be paths inside of the repository"),
    ({"depth": -1}, "depth must be"),
    ({"lfs": "perhaps"}, "lfs must be"),
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
    ({"comands": []}, "did you mean 'commands'? (allowed: artifact_search_path, "),
    ({"commands": [{"script": "x", "scrip": "y"}]}, "did you mean 'script'?"),
    ({"commands": [{"script": "x", "label": 5}]}, "command 1: label must be text"),
    ({"labels": ["gpu"]}, "labels must be a mapping"),
    ({"clean": "yes"}, "clean must be true or false"),
    ({"debug_config": 1}, "debug_config must be a mapping"),
    ({"max_executors": 1001}, "max_executors must be a whole number from 0 to 1000"),
    (
        {"commands": ["make", {"script": "x", "type": "collect_steps"}]},
        "command 1: a step that collects runs no command of type default",
    ),
    (
        {"commands": [{"script": "x", "type": "collect_steps"}, {"script": "y", "type": "collect_tests"}]},
        "at most one command that collects",
    ),
    ({"other_repos": {}}, "other_repos must be a list"),
    ({"other_repos": ["x"]}, "repository 1: must be a mapping with repo and path"),
    ({"other_repos": [{"repo": "https://h/a"}]}, "repository 1: path is missing"),
    ({"other_repos": [{"path": "a"}]}, "repository 1: repo is missing"),
    ({"other_repos": [{"repo": "ext::sh", "path": "a"}]}, "repository 1: repo: "),
    ({"other_repos": [{"repo": "https://u:p@h/a", "path": "a"}]}, "a password does not belong into a plan"),
    ({"other_repos": [{"repo": "https://h/a", "path": "../a"}]}, "must stay inside the checkout"),
    ({"other_repos": [{"repo": "https://h/a", "path": "./source"}]}, "is the folder of another checkout"),
    ({"other_repos": [{"repo": "https://h/a", "path": "a", "revision": "-x"}]}, "repository 1: revision: "),
    ({"other_repos": [{"repo": "https://h/a", "path": "a", "backend": "svn"}]}, "backend must be git or hg"),
]


@pytest.mark.parametrize(("data", "expected"), COMPLAINTS)
def test_what_is_wrong_is_said(data: Any, expected: str) -> None:
    assert expected in complaint(data)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    said = complaint({"timeout": "x", "commands": [{}, 5]})

    assert all(part in said for part in ("timeout must", "command 1: script", "command 2: must"))


def test_each_complaint_names_its_field() -> None:
    with pytest.raises(Invalid) as refused:
        read({"timeout": "x", "commands": ["ok", {"script": "y", "type": "odd"}]})

    assert refused.value.problems == ["data", "data.timeout", "data.commands.1.type"]


def test_every_field_can_be_drawn_and_its_default_is_accepted() -> None:
    for each in implementations.FIELDS:
        assert each.label
        assert each.help.endswith(".")
        assert read({each.name: each.default}) is not None


def test_an_unknown_implementation_is_named() -> None:
    with pytest.raises(Invalid, match=r"unable to load build step implementation: 'os\.system'"):
        recipes.read("os.system", {})


@pytest.mark.parametrize("implementation", recipes.IMPLEMENTATIONS)
def test_the_names_of_the_original_are_understood(implementation: str) -> None:
    data = {} if implementation == implementations.DUMMY else {"commands": ["x"]}

    assert recipes.read(implementation, data).is_dummy == (not data)


@pytest.mark.parametrize("name", sorted(implementations.OF_JENKINS))
def test_a_step_of_jenkins_is_refused_in_words(name: str) -> None:
    with pytest.raises(Invalid, match="runs nothing there: let agents run its commands"):
        recipes.read(name, {})
