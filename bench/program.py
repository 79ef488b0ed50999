"""`changes up` without its first project, so that nothing but the benchmark builds.

The words on the command line are the slots of the local agent; 0 starts none.
"""

import sys
from dataclasses import replace

from changes.app import starting
from changes.app.up.children import Child
from changes.app.up.main import Steps, UpOptions, run
from changes.base import settings


def main() -> int:
    slots = int(sys.argv[1])
    current = settings.load()
    children = [with_slots(child, slots) for child in starting.children(current)]
    wanted = [child for child in children if slots or child.name != "agent"]
    options = UpOptions(home=current.home, host=current.host, port=current.port)
    return run(options, wanted, Steps(prepare=starting.prepare, ready=say_nothing))


def with_slots(child: Child, slots: int) -> Child:
    return replace(child, argv=(*child.argv, "--slots", str(slots))) if child.name == "agent" else child


def say_nothing(_env: dict[str, str]) -> None:
    """No link and no first build."""


if __name__ == "__main__":
    sys.exit(main())
