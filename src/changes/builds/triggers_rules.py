"""Whether something that happened is a reason to build a project, and which of its plans. Pure.

Every answer has a reason, the good ones too: it is kept, and people can ask for it.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from math import inf
from typing import Any

from changes.builds.reasons import Lenient

# A push of more than this builds only its newest, as the original did with its log.
NEWEST_MAX = 30
ALL_BRANCHES = ("*",)
SKIP_MARKERS = ("[ci skip]", "[skip ci]", "[no ci]", "[changes skip]", "[skip changes]")
SKIPS = re.compile(r"\[(?:ci skip|skip ci|no ci|changes skip|skip changes)\]", re.IGNORECASE)
FILES_TOLD = 5


class Kind(StrEnum):
    """What happened."""

    COMMIT = "commit"
    DIFF = "diff"
    SCHEDULE = "schedule"
    HOOK = "hook"
    PROJECT = "project"
    MANUAL = "manual"


# What builds are tagged with.
TAG_OF = {Kind.COMMIT: "commit", Kind.SCHEDULE: "scheduled", Kind.HOOK: "webhook", Kind.PROJECT: "after"}

# What happens by itself; whoever asks for something gets it, whichever files it touches.
AUTOMATIC = frozenset({Kind.COMMIT, Kind.DIFF})
# Why a plan is left out that has nothing new to say: none of the files is of interest to it.
UNTOUCHED = frozenset({"no_files", "plan_files_ignored", "plan_files_not_wanted"})

SENTENCES = {
    "already_built": "It was built already, as build #{number}.",
    "asked": "{by} asked for it.",
    "asked_again": "{by} asked for it to be built again.",
    "asked_snapshot": "A snapshot was made of it.",
    "beyond_newest": "Skipped: more than {most} commits came to {branch} at once, and it is not among"
    " the newest.",
    "branch": "No branch that has it ({branches}) is one that this project builds ({patterns}).",
    "commit_trigger_off": "The project does not build commits by itself (build.commit-trigger).",
    "config_changed": "It changes {file}, which says how to build.",
    "diff_trigger_off": "The project does not build patches by itself (phabricator.diff-trigger).",
    "files_ignored": "It changes only files that do not matter here: {files}.",
    "files_not_wanted": "It changes no file that this project asks for, only {files}.",
    "gone": "The commit is not in the repository any more: {message}",
    "in_a_circle": "The project {project} was built because of this one already.",
    "inactive": "The project is switched off.",
    "first_import": "It was there before its repository was first read here.",
    "no_files": "It changes no file.",
    "no_plans": "The project has no active plan, and there is no .changes.yml.",
    "nobody_looked": "Nobody has looked at it yet, or it is longer ago than decisions are kept.",
    "superseded": "Something newer came to {branch} before the pause was over.",
    "no_plan_wants_it": "None of the plans wants it.",
    "nothing_new": "Nothing has changed on {branch} since {sha} was built on this schedule.",
    "plan_all_there_is": "It is for other occasions, and so are all plans here.",
    "plan_asked": "It was asked for.",
    "plan_branch": "It is for other branches ({patterns}).",
    "plan_event": "It is for other occasions ({events}).",
    "plan_files_ignored": "Only files changed that do not matter to it: {files}.",
    "plan_files_not_wanted": "No file changed that it asks for, only {files}.",
    "plan_needed": "It is needed by {needed_by}.",
    "plan_wanted": "It is for this.",
    "skip_marker": "Its message says {marker}.",
    "too_soon": "A build of this project was made less than {pause_min:minute|minutes} before"
    " (the limit is in {where}).",
    "too_soon_later": "A build of this project was made less than {pause_min:minute|minutes} before"
    " (the limit is in {where}); it is looked at again when they are over, unless something newer has come.",
    "unreadable": "What the repository says about it cannot be read, so it is built to show that: {message}",
    "wanted_commit": "A new commit on {branch}.",
    "wanted_diff": "A new patch.",
    "wanted_hook": "The webhook {name} asked for it.",
    "wanted_project": "The project {project} was built well, and this one is built after it.",
    "wanted_schedule": "The schedule {name} was due.",
}


@dataclass(frozen=True)
class Verdict:
    """`why` names a sentence, `facts` fill it in."""

    is_wanted: bool
    why: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Occasion:
    """What happened. `files` is None where nobody knows what changed."""

    kind: Kind
    branches: tuple[str, ...] = ()
    message: str = ""
    files: tuple[str, ...] | None = None
    is_beyond_newest: bool = False
    # Since the newest build of the project.
    minutes_since_build: float = inf
    # What its sentence says when it is built.
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Wishes:
    """What a project asks for; `config_files` are those that say how to build."""

    branches: tuple[str, ...] = ALL_BRANCHES
    builds_commits: bool = True
    builds_diffs: bool = True
    files: tuple[str, ...] = ()
    ignored_files: tuple[str, ...] = ()
    pause_min: int = 0
    pause_from: str = "build.minimum-minutes"
    config_files: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlanWishes:
    """What one plan asks for; empty is everything."""

    events: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()
    ignored_branches: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    ignored_files: tuple[str, ...] = ()


ANYTHING = PlanWishes()


def sentence(why: str, facts: Mapping[str, Any]) -> str:
    return Lenient().vformat(SENTENCES.get(why, "{message}"), (), facts)


# --- a project -------------------------------------------------------------------------------


def before_reading(wishes: Wishes, what: Occasion) -> Verdict | None:
    """What can be said without a look at the files; None is "look"."""
    is_on = {Kind.COMMIT: wishes.builds_commits, Kind.DIFF: wishes.builds_diffs}.get(what.kind, True)
    if not is_on:
        return Verdict(is_wanted=False, why=f"{what.kind.value}_trigger_off")
    return of_commit(wishes, what) if what.kind == Kind.COMMIT else None


def of_commit(wishes: Wishes, what: Occasion) -> Verdict | None:
    marker = SKIPS.search(what.message)
    if marker:
        return Verdict(is_wanted=False, why="skip_marker", facts={"marker": marker.group()})
    if not is_branch_wanted(wishes.branches, what.branches):
        facts = {"branches": ", ".join(what.branches) or "none", "patterns": " ".join(wishes.branches)}
        return Verdict(is_wanted=False, why="branch", facts=facts)
    if what.is_beyond_newest:
        branch = what.branches[0] if what.branches else "it"
        facts_of_many: dict[str, Any] = {"most": NEWEST_MAX, "branch": branch}
        return Verdict(is_wanted=False, why="beyond_newest", facts=facts_of_many)
    return None


def decide(wishes: Wishes, what: Occasion) -> Verdict:
    """In the order of the original: what says how to build, the pause, the black list, the white list."""
    early = before_reading(wishes, what)
    if early is not None:
        return early
    wanted = Verdict(is_wanted=True, why=f"wanted_{what.kind.value}", facts=what.facts)
    if what.kind not in AUTOMATIC:
        return wanted
    changed = next((name for name in wishes.config_files if name in (what.files or ())), None)
    if changed is not None:
        return Verdict(is_wanted=True, why="config_changed", facts={"file": changed})
    if what.minutes_since_build < wishes.pause_min:
        later = "_later" if what.kind == Kind.COMMIT else ""
        pause: dict[str, Any] = {"pause_min": wishes.pause_min, "where": wishes.pause_from}
        return Verdict(is_wanted=False, why=f"too_soon{later}", facts=pause)
    return of_files(wishes.files, wishes.ignored_files, what.files) or wanted


def of_files(
    only: Sequence[str], ignored: Sequence[str], files: tuple[str, ...] | None, prefix: str = ""
) -> Verdict | None:
    """Why these files are none to build for; None where they are, or where nobody knows them."""
    if files is None or not (only or ignored):
        return None
    if not files:
        return Verdict(is_wanted=False, why="no_files")
    ignore, want = matcher(ignored), matcher(only)
    left = [name for name in files if not (ignored and ignore(name))]
    if not left:
        return Verdict(is_wanted=False, why=f"{prefix}files_ignored", facts={"files": some(files)})
    if only and not any(want(name) for name in left):
        return Verdict(is_wanted=False, why=f"{prefix}files_not_wanted", facts={"files": some(left)})
    return None


def matcher(patterns: Sequence[str]) -> Any:
    return lambda name: any(fnmatchcase(name, pattern) for pattern in patterns)


def some(files: Sequence[str]) -> str:
    told = ", ".join(name[:200] for name in files[:FILES_TOLD])
    return f"{told} and {len(files) - FILES_TOLD} more" if len(files) > FILES_TOLD else told


def is_branch_wanted(patterns: Sequence[str], branches: Collection[str]) -> bool:
    """A commit without any branch is wanted where every branch is."""
    if not branches:
        return "*" in patterns
    return any(fnmatchcase(branch, pattern) for branch in branches for pattern in patterns)


# --- its plans -------------------------------------------------------------------------------


def decide_plans(
    plans: Mapping[str, PlanWishes], needs: Mapping[str, Collection[str]], what: Occasion
) -> dict[str, Verdict]:
    """What a wanted plan needs is run as well, or it could never start."""
    found = {name: of_plan(wishes, what) for name, wishes in plans.items()}
    waiting = [name for name, verdict in found.items() if verdict.is_wanted]
    if what.kind == Kind.MANUAL and not waiting:
        # Who asks for a project that has nothing but nightly plans wants those.
        return {name: Verdict(is_wanted=True, why="plan_all_there_is") for name in plans}
    while waiting:
        name = waiting.pop()
        for needed in needs.get(name, ()):
            if needed in found and not found[needed].is_wanted:
                found[needed] = Verdict(is_wanted=True, why="plan_needed", facts={"needed_by": name})
                waiting.append(needed)
    return found


def of_plan(wishes: PlanWishes, what: Occasion) -> Verdict:
    if wishes.events and what.kind.value not in wishes.events:
        facts = {"events": ", ".join(wishes.events)}
        return Verdict(is_wanted=False, why="plan_event", facts=facts)
    if what.kind in AUTOMATIC:
        patterns = wishes.branches or ALL_BRANCHES
        ignored = [name for name in what.branches if is_branch_wanted(wishes.ignored_branches, [name])]
        left = [name for name in what.branches if name not in ignored]
        has_none_left = bool(ignored) and not left
        if what.kind == Kind.COMMIT and (has_none_left or not is_branch_wanted(patterns, left)):
            not_these = [f"not {pattern}" for pattern in wishes.ignored_branches]
            facts = {"patterns": ", ".join([*wishes.branches, *not_these])}
            return Verdict(is_wanted=False, why="plan_branch", facts=facts)
        refused = of_files(wishes.files, wishes.ignored_files, what.files, "plan_")
        if refused is not None:
            return refused
    return Verdict(is_wanted=True, why="plan_wanted")


def with_needs(names: Collection[str], needs: Mapping[str, Collection[str]]) -> set[str]:
    """These plans, and those without which they could not start."""
    found, waiting = set(names), list(names)
    while waiting:
        for needed in needs.get(waiting.pop(), ()):
            if needed not in found:
                found.add(needed)
                waiting.append(needed)
    return found
