import ast
import subprocess
import sys
from pathlib import Path

import changes

SOURCES = Path(changes.__file__).parent
TELL_TASKS = """
from changes.app import plugins
from changes.base import jobs
print(*jobs.bodies)
"""


def registered_in_sources() -> set[str]:
    """Every function under `@jobs.task`, by the name a Task row bears."""
    found = set()
    for path in SOURCES.rglob("*.py"):
        folder = path.relative_to(SOURCES).with_suffix("").as_posix().replace("/", ".").removesuffix(".tasks")
        for node in ast.parse(path.read_text()).body:
            decorators = [ast.unparse(each) for each in getattr(node, "decorator_list", [])]
            if "jobs.task" in decorators:
                found.add(f"{folder}.{getattr(node, 'name', '')}")
    return found


def test_a_worker_knows_every_task() -> None:
    # A process of its own, because the tests have imported everything long since.
    told = subprocess.run(
        [sys.executable, "-c", TELL_TASKS], check=True, capture_output=True, text=True, timeout=120
    )

    assert registered_in_sources() <= set(told.stdout.split())
