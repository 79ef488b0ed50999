import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from changes.base import plain
from changes.base.errors import Invalid
from changes.projects import config
from changes.projects.config import PlanConfig


def complaint(text: str) -> str:
    with pytest.raises(Invalid) as refused:
        config.read(text)
    return refused.value.message


def test_plans_are_read_in_the_order_of_the_file() -> None:
    text = """
    plans:
      - name: fast tests
        commands: [make test-fast, {script: make lint, label: Lint}]
        artifacts: [junit.xml]
      - {name: " slow tests ", commands: []}
    """

    assert config.read(text) == [
        PlanConfig(
            "fast tests",
            [
                {
                    "commands": ["make test-fast", {"script": "make lint", "label": "Lint"}],
                    "artifacts": ["junit.xml"],
                }
            ],
        ),
        PlanConfig("slow tests", [{"commands": []}]),
    ]


COMPLAINTS = [
    ("plans: {", "cannot be read: line 1, column 9: while parsing a flow node"),
    ("plans:\n\t- a", "cannot be read: line 2, column 1: while scanning"),
    ("plans:\n\t- a", "(indent with spaces, not with tabs)"),
    (
        "plans: a: b",
        "line 1, column 9: mapping values are not allowed here (a text with a colon in it needs quotes)",
    ),
    ("plans:\n- \0", "line 2: it holds the character #x0000, which no text may hold"),
    ("", 'needs a list "plans"'),
    ("[]", 'needs a list "plans"'),
    ("plans: a", 'needs a list "plans"'),
    ("result: all\nplan: []", """needs a list "plans", did you mean that by 'plan'?"""),
    ("plans: []\nplans: []", "line 2, column 1: 'plans' is here twice, first on line 1"),
    ("plans:\n- name: a\n  commands: [a]\n  commands: [b]", "line 4, column 3: 'commands' is here twice"),
    ("plans: []\nplan: []\nnotify: me", "unknown keys: notify, plan."),
    ("plans: [5]", "plan 1 must be a mapping"),
    ("plans: [{name: a}, {commands: []}]", "plan 2 has no name"),
    ("plans: [{name: 5}]", "plan 1 has no name"),
    ("plans: [{name: ' '}]", "plan 1 has no name"),
    ("plans: [{name: a}, {name: b}, {name: a}]", "line 1, column 32: there are several plans named a."),
    ("plans: [&a {name: a}, *a]", "line 1, column 23: aliases (*name) are not supported"),
    ("plans: [!!python/object:os.system {name: a}]", "tags (!name) are not supported"),
    ("plans: [{name: a, env: !!binary aGk=}]", "tags (!name) are not supported"),
    ("plans: [{name: a, env: 2020-01-01}]", "2020-01-01 is no plain value, put it in quotes"),
    ("plans: [{name: a, env: 2020-99-99}]", "cannot be read: line 1, column 24: month must be in 1..12"),
    ("plans: [{name: a, on: b}]", "True is not text, put it in quotes"),
    ("plans: [{name: a, 1: b, c: d}]", "1 is not text, put it in quotes"),
    ("plans: [{name: a, env: .inf}]", "inf is not a number"),
    (f"plans: [{{name: a, env: {'9' * 30}}}]", "a number is too large"),
    (f"plans: [{{name: a, env: {'9' * 5000}}}]", "cannot be read: line 1, column 24: a number is too large"),
    ('plans: [{name: "a\\0b"}]', "text holds a character that cannot be stored"),
    ('plans: [{name: "a\\uD800"}]', "text holds a character that cannot be stored"),
    ("plans: " + "[" * 200 + "]" * 200, "values are nested more than 50 deep"),
    ("plans: " + "[" * 5000, "cannot be read: line 1, column 58: values are nested more than 50 deep"),
    ("plans: [" + "1," * 20_000 + "]", "too many values"),
    ("plans: [" + "{name: a}," * 101 + "]", "more than 100 plans"),
    ("#" * (256 * 1024 + 1), "is larger than 256 KiB"),
    (config.TOO_LARGE, "is larger than 256 KiB"),
]


@pytest.mark.parametrize(("text", "expected"), COMPLAINTS, ids=range(len(COMPLAINTS)))
def test_what_is_wrong_is_said_in_one_sentence(text: str, expected: str) -> None:
    said = complaint(text)

    assert said.startswith(".changes.yml")
    assert expected in said
    assert "\n" not in said


def test_names_that_differ_only_after_the_part_that_is_kept_are_the_same() -> None:
    long = "n" * 128

    assert "several plans" in complaint(f"plans: [{{name: {long}a}}, {{name: {long}b}}]")


YAML_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner),
    max_leaves=10,
)


def read_or_nothing(text: str) -> list[PlanConfig]:
    try:
        return config.read(text)
    except Invalid:
        return []


@given(YAML_VALUES | st.fixed_dictionaries({"plans": st.lists(YAML_VALUES, max_size=3)}))
def test_whatever_is_read_can_be_stored(data: object) -> None:
    plans = read_or_nothing(yaml.safe_dump(data))

    assert [plain.problem([plan.data, plan.said, plan.steps]) for plan in plans] == [None] * len(plans)


@given(st.text(alphabet="plans: []{}-\n\"'!&*#?|>%@`0123456789.:eE_+x", max_size=60))
def test_no_text_at_all_makes_it_stumble(text: str) -> None:
    read_or_nothing(text)
