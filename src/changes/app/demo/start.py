"""`changes demo` without options: the system as `changes up` runs it, on a home full of sample data."""

import subprocess
import sys

from changes.app import starting
from changes.app.up.children import Child
from changes.app.up.main import Steps
from changes.base import settings
from changes.base.settings import Settings

PROGRAM = (sys.executable, "-m", "changes.app.cli", "demo")


def up() -> int:
    return starting.supervise(children, Steps(prepare=prepare, ready=welcome))


def children(current: Settings) -> list[Child]:
    """The pretended agents stand in the place of the real one."""
    servers = [child for child in starting.children(current) if child.name != "agent"]
    stream = Child("stream", (*PROGRAM, "--stream"), stop_rank=starting.AGENT_RANK, after_web=True)
    return [*servers, stream]


def prepare(env: dict[str, str]) -> None:
    starting.prepare(env)
    subprocess.run([*PROGRAM, "--fill", "--if-empty"], env=env, check=True, stdin=subprocess.DEVNULL)


def welcome(env: dict[str, str]) -> None:
    told = starting.bootstrap(env, "link")
    sys.stdout.write(
        f"\nThe demo runs on {settings.load(env).base_url}\n"
        f"Sign in as {told['email']}: {told['link']}\n"
        "Ctrl-C stops everything; the next start finds it again.\n\n"
    )
    sys.stdout.flush()
