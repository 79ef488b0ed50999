import pytest

from changes.base.errors import Invalid
from changes.builds import terms
from changes.projects import log_lines
from changes.projects.log_lines import LogLine
from changes.projects.options import LOG_ERRORS, OF_PROJECTS


def test_a_pattern_may_stand_alone_or_say_more() -> None:
    said = ["^FlexLM", {"pattern": "quota", "name": "quota", "severity": "fatal"}]

    assert log_lines.read(said) == [LogLine("^FlexLM"), LogLine("quota", "quota", "fatal")]


def test_an_option_says_one_in_each_line() -> None:
    text = "fatal licence server: ^FlexLM: denied\n\nignore: telemetry\n"

    assert log_lines.of_text(text) == [
        LogLine("^FlexLM: denied", "licence server", "fatal"),
        LogLine("telemetry", "", "ignore"),
    ]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("error", "must be a list"),
        ([5], "is a pattern, or a mapping"),
        ([{"patern": "x"}], "unknown key 'patern'"),
        ([{"pattern": "x", "severity": "loud"}], "severity must be one of"),
        ([{"pattern": "x", "name": "n" * 41}], "at most 40 characters"),
        ([{"name": "x"}], "1 to 500 characters"),
        (["x" * 501], "1 to 500 characters"),
        (["a\nb"], "on one line"),
        (["("], "no regular expression"),
        ([r"(a)\1"], "no regular expression"),
        (["(?=a)"], "no regular expression"),
        (["((((a{100}){100}){100}){100}"], "no regular expression"),
        ([".*"], "fits every line"),
        (["x"] * 51, "at most 50 patterns"),
    ],
)
def test_what_cannot_be_looked_for_is_refused_in_words(said: object, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        log_lines.read(said)


@pytest.mark.parametrize("text", ["^FlexLM", "loud: x", "error x", "error:", "error: ("])
def test_a_line_of_the_option_that_is_wrong_is_refused(text: str) -> None:
    problem = OF_PROJECTS[LOG_ERRORS].problem(text)

    assert problem is not None
    assert problem.startswith("Errors in logs: ")


def test_a_plan_keeps_them_with_its_job() -> None:
    said = terms.of_keys({"log_errors": ["^FlexLM"]})

    assert terms.thawed({"terms": said.frozen()}).log_errors == (LogLine("^FlexLM"),)


def test_a_plan_that_says_it_wrongly_is_told_where() -> None:
    [wrong] = terms.wrong_keys({"log_errors": ["("]})

    assert wrong.way == ("log_errors",)
