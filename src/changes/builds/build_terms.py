"""What a project says about its builds as a whole, by its options. Pure.

It is kept in the build when that is made, so later changes of the options do not reach it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from changes.builds.rules import RESULT_RULES, ResultRule
from changes.builds.terms import number
from changes.projects.options import OVERALL_TIMEOUT, QUEUE_TIMEOUT, RESULT_RULE


@dataclass(frozen=True)
class BuildTerms:
    result_rule: ResultRule = ResultRule.ALL
    queue_limit_s: int | None = None
    overall_limit_s: int | None = None


def of_options(options: Mapping[str, str]) -> BuildTerms:
    """Options were checked when they were stored; what an older version stored counts as not said."""
    return BuildTerms(
        result_rule=RESULT_RULES.get(options.get(RESULT_RULE, ""), ResultRule.ALL),
        queue_limit_s=seconds(options.get(QUEUE_TIMEOUT)),
        overall_limit_s=seconds(options.get(OVERALL_TIMEOUT)),
    )


def seconds(minutes: str | None) -> int | None:
    return number(minutes) * 60 or None
