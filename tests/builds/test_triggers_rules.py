"""Every word that decides whether something is built, on values alone."""

from typing import Any

import pytest

from changes.builds import triggers_rules
from changes.builds.triggers_rules import Kind, Occasion, PlanWishes, Wishes

HOUR = 60


def a_commit(*files: str, branch: str = "main", **more: Any) -> Occasion:
    return Occasion(Kind.COMMIT, (branch,), files=files, **more)


CASES = [
    (Wishes(), a_commit("a"), "wanted_commit"),
    (Wishes(builds_commits=False), a_commit("a"), "commit_trigger_off"),
    (Wishes(builds_diffs=False), Occasion(Kind.DIFF), "diff_trigger_off"),
    (Wishes(builds_commits=False), Occasion(Kind.DIFF), "wanted_diff"),
    (Wishes(branches=("release-*",)), a_commit("a"), "branch"),
    (Wishes(branches=("release-*", "main")), a_commit("a"), "wanted_commit"),
    (Wishes(branches=("main",)), Occasion(Kind.COMMIT, (), files=("a",)), "branch"),
    (Wishes(), Occasion(Kind.COMMIT, (), files=("a",)), "wanted_commit"),
    (Wishes(), a_commit("a", message="Typo [CI skip]"), "skip_marker"),
    (Wishes(), Occasion(Kind.MANUAL, message="[ci skip]"), "wanted_manual"),
    (Wishes(), a_commit("a", is_beyond_newest=True), "beyond_newest"),
    (Wishes(files=("src/*",)), a_commit("docs/a", "src/deep/b"), "wanted_commit"),
    (Wishes(files=("src/*",)), a_commit("docs/a"), "files_not_wanted"),
    (Wishes(files=("src/*",)), Occasion(Kind.COMMIT, ("main",)), "wanted_commit"),
    (Wishes(files=("src/*",)), Occasion(Kind.SCHEDULE, files=("docs/a",)), "wanted_schedule"),
    (Wishes(ignored_files=("*.md",)), a_commit("docs/a.md"), "files_ignored"),
    (Wishes(ignored_files=("*.md",)), a_commit("docs/a.md", "b"), "wanted_commit"),
    (Wishes(files=("docs/*",), ignored_files=("*.md",)), a_commit("docs/a.md", "b"), "files_not_wanted"),
    (Wishes(files=("src/*",), config_files=(".changes.yml",)), a_commit(".changes.yml"), "config_changed"),
    (Wishes(pause_min=10), a_commit("a", minutes_since_build=9.5), "too_soon_later"),
    (Wishes(pause_min=10), Occasion(Kind.DIFF, minutes_since_build=9.5), "too_soon"),
    (Wishes(pause_min=10), a_commit("a", minutes_since_build=10), "wanted_commit"),
    (Wishes(pause_min=10), Occasion(Kind.HOOK, minutes_since_build=1), "wanted_hook"),
    (
        Wishes(pause_min=10, config_files=("x.yaml",)),
        a_commit("x.yaml", minutes_since_build=1),
        "config_changed",
    ),
    (Wishes(files=("a",)), a_commit(), "no_files"),
]


@pytest.mark.parametrize(("wishes", "what", "why"), CASES, ids=range(len(CASES)))
def test_each_answer_has_its_reason(wishes: Wishes, what: Occasion, why: str) -> None:
    verdict = triggers_rules.decide(wishes, what)

    assert verdict.why == why
    is_good = why.startswith("wanted") or why == "config_changed"
    assert verdict.is_wanted is is_good


def test_every_reason_that_the_rules_give_has_a_sentence_without_gaps() -> None:
    verdicts = [triggers_rules.decide(wishes, what) for wishes, what, _ in CASES]

    told = [triggers_rules.sentence(each.why, each.facts) for each in verdicts if not each.is_wanted]

    assert [text for text in told if "(unknown)" in text or not text.endswith(".")] == []


def test_of_very_many_files_only_some_are_told() -> None:
    files = tuple(f"docs/{number}" for number in range(10_000))

    verdict = triggers_rules.decide(Wishes(files=("src/*",)), a_commit(*files))

    assert verdict.facts["files"] == "docs/0, docs/1, docs/2, docs/3, docs/4 and 9995 more"


PLAN_CASES = [
    (PlanWishes(), a_commit("a"), "plan_wanted"),
    (PlanWishes(events=("schedule",)), a_commit("a"), "plan_event"),
    (PlanWishes(events=("schedule", "commit")), a_commit("a"), "plan_wanted"),
    (PlanWishes(branches=("release-*",)), a_commit("a"), "plan_branch"),
    (PlanWishes(ignored_branches=("wip-*",)), a_commit("a", branch="wip-1"), "plan_branch"),
    (PlanWishes(ignored_branches=("wip-*",)), a_commit("a"), "plan_wanted"),
    (PlanWishes(branches=("release-*",)), Occasion(Kind.DIFF, files=("a",)), "plan_wanted"),
    (PlanWishes(branches=("release-*",)), Occasion(Kind.MANUAL), "plan_wanted"),
    (PlanWishes(files=("src/*",)), a_commit("docs/a"), "plan_files_not_wanted"),
    (PlanWishes(ignored_files=("docs/*",)), a_commit("docs/a"), "plan_files_ignored"),
    (PlanWishes(files=("src/*",)), Occasion(Kind.DIFF, files=("src/a",)), "plan_wanted"),
]


@pytest.mark.parametrize(("wishes", "what", "why"), PLAN_CASES, ids=range(len(PLAN_CASES)))
def test_a_plan_has_a_word_too(wishes: PlanWishes, what: Occasion, why: str) -> None:
    assert triggers_rules.of_plan(wishes, what).why == why


def test_what_a_plan_needs_is_run_with_it() -> None:
    plans = {
        "build": PlanWishes(events=("manual",)),
        "lint": PlanWishes(events=("manual",)),
        "deploy": PlanWishes(),
        "check": PlanWishes(events=("manual",)),
    }
    needs = {"deploy": ["build"], "build": ["lint"], "lint": [], "check": []}

    found = triggers_rules.decide_plans(plans, needs, a_commit("a"))

    assert {name: each.is_wanted for name, each in found.items()} == {
        "build": True,
        "lint": True,
        "deploy": True,
        "check": False,
    }
    assert found["build"].facts == {"needed_by": "deploy"}


def test_people_who_ask_get_what_is_for_people_or_else_all_there_is() -> None:
    nightly, usual = PlanWishes(events=("schedule",)), PlanWishes()

    some = triggers_rules.decide_plans({"tests": usual, "soak": nightly}, {}, Occasion(Kind.MANUAL))
    all_there_is = triggers_rules.decide_plans({"soak": nightly}, {}, Occasion(Kind.MANUAL))

    assert {name: each.is_wanted for name, each in some.items()} == {"tests": True, "soak": False}
    assert all_there_is["soak"].is_wanted


def test_needs_that_go_in_a_circle_end() -> None:
    assert triggers_rules.with_needs(["a"], {"a": ["b"], "b": ["a"]}) == {"a", "b"}
