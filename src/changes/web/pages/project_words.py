"""What a project says of itself by its options, for those who may only read it. Pure."""

from collections.abc import Mapping

from changes.projects import options
from changes.projects.plan_options import lines_in

PATTERNS_SHOWN = 5
ANY_BRANCH = "*"
YES = "1"


def what_it_builds(said: Mapping[str, str]) -> list[tuple[str, str]]:
    """What is built by itself, and what holds it back; usual things that say nothing are left out."""
    kinds = [
        kind
        for kind, name in (("new commits", options.COMMIT_TRIGGER), ("new patches", options.DIFF_TRIGGER))
        if said[name] == YES
    ]
    branches = " ".join(said[options.BRANCHES].split())
    limit, pause = said[options.QUEUE_LIMIT], said[options.PAUSE_MIN]
    found = [
        ("Builds by itself", " and ".join(kinds) or "nothing: somebody has to ask"),
        ("Branches", "" if branches == ANY_BRANCH else branches),
        ("Only for files", patterns(said[options.FILES])),
        ("Not for files", patterns(said[options.IGNORED_FILES])),
        ("Pause between builds", f"{pause} min" if pause not in {"", "0"} else ""),
        ("After projects", patterns(said[options.AFTER_PROJECTS])),
        ("Steps at a time", "none: it is paused" if limit == "0" else limit),
        ("Weight", said[options.QUEUE_WEIGHT] if said[options.QUEUE_WEIGHT] != "1" else ""),
    ]
    return [(name, text) for name, text in found if text]


def patterns(text: str) -> str:
    found = lines_in(text)
    more = len(found) - PATTERNS_SHOWN
    return ", ".join(found[:PATTERNS_SHOWN]) + (f" and {more} more" if more > 0 else "")
