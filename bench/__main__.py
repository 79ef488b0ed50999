"""`python -m bench [NAME ...] [--quick] [--json]`: one line per figure."""

import argparse
import importlib
import json
import signal
import sys
from collections.abc import Callable, Iterator
from http.client import HTTPException
from queue import Empty

from bench.figures import Figure

NAMES = (
    "cold_start",
    "idle_memory",
    "agent_alone",
    "dispatch",
    "claim",
    "sandbox",
    "snapshot",
    "throughput",
    "cancel",
    "settle",
    "log_throughput",
    "junit_ingest",
    "coverage_merge",
    "builds_list",
    "live",
    "pages",
    "log_view",
    "vcs_log",
    "import_commits",
)
# These run only when they are named.
LONG = ("tests_at_scale",)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", choices=[[], *NAMES, *LONG], metavar="NAME", help=", ".join((*NAMES, *LONG))
    )
    parser.add_argument("--quick", action="store_true", help="few rounds: to see that it works")
    parser.add_argument("--json", action="store_true", help="all figures as one JSON list at the end")
    asked = parser.parse_args()
    # Ending us must end what we started: an exit unwinds, a signal alone would not.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    found: list[Figure] = []
    failed = [name for name in asked.names or NAMES if not take(name, found, asked)]
    if asked.json:
        print(json.dumps([figure.as_json() for figure in found], indent=1))
    sys.exit(1 if failed else 0)


def take(name: str, found: list[Figure], asked: argparse.Namespace) -> bool:
    """A benchmark that breaks does not take the others with it."""
    try:
        for figure in measure_of(name)(quick=asked.quick):
            found.append(figure)
            if not asked.json:
                print(figure.line(), flush=True)
    except (OSError, RuntimeError, HTTPException, Empty) as error:
        print(f"{name} broke off: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        return False
    return True


def measure_of(name: str) -> Callable[..., Iterator[Figure]]:
    found: Callable[..., Iterator[Figure]] = importlib.import_module(f"bench.{name}").measure
    return found


if __name__ == "__main__":
    main()
