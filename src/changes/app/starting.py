"""Starts the programs: `changes up`, a worker, and what they need to know of this machine.

The supervisor stays small: whatever needs the database runs as a program of its own.
"""

import json
import subprocess
import sys
from collections.abc import Callable

from changes.app import embedding
from changes.app.up.children import Child
from changes.app.up.main import Steps, UpOptions, run
from changes.base import settings
from changes.base.settings import InvalidSettings, Settings

WEB_RANK, WORKER_RANK, AGENT_RANK = 2, 1, 0
EVERY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - compared with, not listened on


def load() -> Settings:
    return embedding.with_embedded(settings.load())


def database_url() -> str:
    return load().database_url or ""


def sign_in_url(secret: str) -> str:
    return f"{running_address(settings.load())}/auth/link/{secret}/"


def running_address(current: Settings) -> str:
    """Of the system on this home, which may have been given a port that this terminal does not know."""
    if "base_url" in current.model_fields_set:
        return current.base_url
    try:
        return str(json.loads((current.home / "cli.json").read_text())["url"])
    except (OSError, ValueError, KeyError):
        return current.base_url


def up() -> int:
    return supervise(children, Steps(prepare=prepare, ready=welcome))


def supervise(children_of: Callable[[Settings], list[Child]], steps: Steps) -> int:
    """Runs these programs on the home and the databases of this process's settings; the exit code."""
    try:
        current = settings.load()
    except InvalidSettings as error:
        sys.stderr.write(f"changes: {error}\n")
        return 2
    options = UpOptions(
        home=current.home,
        host=current.host,
        port=current.port,
        database_url=current.database_url,
        broker_url=current.broker_url,
    )
    return run(options, children_of(current), steps)


def children(current: Settings) -> list[Child]:
    program = (sys.executable, "-m", "changes.app.cli.programs")
    agent = ("agent", "--server", local_address(current), "--home", str(current.home / "agent"))
    return [
        Child("web", (*program, "web"), stop_rank=WEB_RANK),
        Child("worker", (*program, "worker"), stop_rank=WORKER_RANK, after_web=True, gives_way=True),
        Child("agent", (*program, *agent, "--name", "local"), stop_rank=AGENT_RANK, after_web=True),
    ]


def local_address(current: Settings) -> str:
    """The web server as the agent beside it calls it."""
    host = "127.0.0.1" if current.host in EVERY_ADDRESS else current.host
    return f"http://{f'[{host}]' if ':' in host else host}:{current.port}"


def prepare(env: dict[str, str]) -> None:
    env.update(bootstrap(env, "prepare"))


def welcome(env: dict[str, str]) -> None:
    told = bootstrap(env, "welcome")
    lines = [
        "",
        f"Changes runs on {settings.load(env).base_url}",
        f"Sign in as {told['email']}: {told['link']}",
    ]
    if told["first_build"]:
        lines.append(told["first_build"])
    lines += ["Ctrl-C stops everything; the next start finds it again.", ""]
    sys.stdout.write("\n".join(lines))
    sys.stdout.flush()


def bootstrap(env: dict[str, str], act: str) -> dict[str, str]:
    command = [sys.executable, "-m", "changes.app.bootstrap", act]
    done = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    answered: dict[str, str] = json.loads(done.stdout)
    return answered
