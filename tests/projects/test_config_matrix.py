"""Plans that a matrix makes, parameters, and the file of the original: as they stand in text."""

import pytest

from changes.base.errors import Invalid
from changes.projects import config, config_original, parameters
from changes.projects.config_original import OriginalConfig
from changes.projects.parameters import Parameter


def test_a_matrix_makes_one_plan_of_each_combination() -> None:
    text = """
plans:
  - name: tests
    matrix:
      PYTHON: ["3.11", 3.14]
      FAST: [true, false]
      exclude: [{PYTHON: "3.11", FAST: false}]
    image: "python:{{PYTHON}}"
    labels: {fast: "{{FAST}}"}
    env: {PYTHON: mine, X: "1"}
    commands: ["echo {{PYTHON}}"]
  - {name: after, needs: [tests], commands: [x]}
"""
    first, second, third, after = config.read(text)

    assert [each.name for each in (first, second, third)] == [
        "tests (3.11, true)",
        "tests (3.14, true)",
        "tests (3.14, false)",
    ]
    assert first.steps == [
        {
            "image": "python:3.11",
            "labels": {"fast": "true"},
            "env": {"PYTHON": "mine", "FAST": "true", "X": "1"},
            "commands": ["echo {{PYTHON}}"],
        }
    ]
    assert after.said == {"needs": [first.name, second.name, third.name]}


def a_plan(matrix: str) -> str:
    return f"plans:\n  - name: a\n    matrix: {matrix}\n    commands: [x]\n"


WRONG = [
    (a_plan("[a]"), ".changes.yml line 3, column 5: matrix must be a mapping"),
    (a_plan("{}"), "matrix has between 1 and 5 names"),
    (a_plan("{A: x}"), "A must be a list"),
    (a_plan("{A: []}"), "A must be a list"),
    (a_plan("{A: [[x]]}"), "each value of A must be text"),
    (a_plan("{A B: [x]}"), "'A B' is no name that a variable can have"),
    (a_plan("{A: [x], exclude: [{B: x}]}"), "exclude names 'B', which the matrix has not"),
    (a_plan("{A: [x], exclude: [{A: x}]}"), "matrix has 0 combinations"),
    (a_plan("{" + ", ".join(f"A{axis}: [{'x,' * 50}]" for axis in range(5)) + "}"), "312500000 combinations"),
    (a_plan("{A: [" + "y" * 300 + "]}"), "more than 200 characters"),
    (a_plan("{A: [x, x]}"), "several plans named a (x)"),
    (a_plan("{A: [x]}\n    label: '" + "{{A}}" * 600 + "'"), "at most 500 places"),
    (
        "plans: []\nresult: most",
        ".changes.yml line 2, column 1: result must be one of all, any, required-only.",
    ),
    ("plans: []\nplan: []", ".changes.yml line 2, column 1 has unknown keys: plan. Did you mean 'plans'?"),
]


@pytest.mark.parametrize(("text", "said"), WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_is_said_in_words(text: str, said: str) -> None:
    with pytest.raises(Invalid) as refused:
        config.read(text)

    assert said in refused.value.message


def test_parameters_have_a_default_of_their_type() -> None:
    said = [
        {"name": "A"},
        {"name": "B", "type": "number", "default": 2.5},
        {"name": "C", "type": "flag"},
        {"name": "D", "choices": ["x", 1, True]},
    ]

    found = parameters.read(said)

    assert found[3] == Parameter("D", "choice", "x", ("x", "1", "true"))
    assert parameters.values_of(found, {"C": "YES"}) == {"A": "", "B": "2.5", "C": "true", "D": "x"}


WRONG_PARAMETERS = [
    ({}, "must be a list"),
    (["A"], "must be a list of mappings"),
    ([{"name": "A B"}], "needs a name"),
    ([{"name": "PATH"}], "PATH is a variable that is taken"),
    ([{"name": "CHANGES_SHA"}], "is a variable that is taken"),
    ([{"name": "A"}, {"name": "A"}], "one name twice: A"),
    ([{"name": "A", "tpye": "text"}], "unknown key 'tpye', did you mean 'type'?"),
    ([{"name": "A", "type": "choice"}], "a choice has choices"),
    ([{"name": "A", "type": "text", "choices": ["x"]}], "a choice has choices"),
    ([{"name": "A", "choices": ["x"], "default": "y"}], "the default of A must be one of x; it is 'y'"),
    ([{"name": "A", "type": "number", "default": "many"}], "the default of A must be a number"),
    ([{"name": "A", "default": ["x"]}], "a value is text, a number, true or false"),
    ([{"name": f"A{number}"} for number in range(51)], "at most 50 parameters"),
]


@pytest.mark.parametrize(("said", "text"), WRONG_PARAMETERS, ids=range(len(WRONG_PARAMETERS)))
def test_parameters_that_make_no_sense_are_refused_in_words(said: object, text: str) -> None:
    with pytest.raises(Invalid) as refused:
        parameters.read(said)

    assert text in refused.value.message


ORIGINAL = """
build.file-blacklist: ["*.md", "docs/*"]
build.minimum-minutes-between-builds: 15
bazel.targets: ["//..."]
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ORIGINAL, OriginalConfig(("*.md", "docs/*"), 15)),
        ("", OriginalConfig()),
        ("- just\n- a list", OriginalConfig()),
        ("other: 1", OriginalConfig()),
    ],
)
def test_the_originals_file_is_read_as_it_was(text: str, expected: OriginalConfig) -> None:
    assert config_original.read(text, "web") == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("build.file-blacklist: 7", "web.yaml line 1, column 1: build.file-blacklist must be a list"),
        ("a: {", "web.yaml cannot be read"),
        ("build.minimum-minutes-between-builds: -1", "must be a whole number"),
        ("a: &x [1]\nb: *x", "aliases"),
        ("#" * (300 * 1024), "is larger than 256 KiB"),
        ("[" * 10_000, "web.yaml cannot be read"),
    ],
)
def test_the_originals_file_that_is_wrong_is_told_by_its_name(text: str, said: str) -> None:
    with pytest.raises(Invalid) as refused:
        config_original.read(text, "web")

    assert refused.value.message.startswith("web.yaml")
    assert said in refused.value.message
