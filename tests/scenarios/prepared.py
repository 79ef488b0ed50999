"""Commands of ours as processes that begin where their imports end.

To import the product takes two or three seconds of processor, and the tests start its programs some
fifty times. One process imports all of it, once for each worker of pytest, and forks the others.
That a command also starts from nothing is shown by parts that are `fresh` and by all tests of `changes up`.
"""

import atexit
import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path

ROOT = Path(__file__).parents[2]
forking = multiprocessing.get_context("forkserver")
forking.set_forkserver_preload(["tests.scenarios.imported"])


class Prepared:
    """What `subprocess.Popen` would be for one that starts from nothing."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def start(
    name: str, arguments: tuple[str, ...], env: Mapping[str, str], log: Path, errors: Path | None = None
) -> Prepared:
    """As `changes` with these arguments: in a session of its own, writing to this log, in its folder."""
    # It looks for modules where it is started.
    with contextlib.chdir(ROOT):
        forkserver.ensure_running()
    said = (arguments, dict(env), log, errors or log)
    # At the end of pytest, whatever happened, none of them is waited for.
    process = forking.Process(target=run, name=name, args=said, daemon=True)
    process.start()
    return Prepared(process)


def run(arguments: tuple[str, ...], env: Mapping[str, str], log: Path, errors: Path) -> None:
    """In the forked process."""
    from changes.app.cli.main import main

    os.setsid()
    for number, path in ((1, log), (2, errors)):
        with path.open("ab") as file:
            os.dup2(file.fileno(), number)
    # Whose it is cannot be told by its environment, which is that of the process it was forked from.
    os.chdir(log.parent)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = ["changes", *arguments]
    try:
        main()
    finally:
        # A forked process ends without them.
        atexit._run_exitfuncs()


def command(
    *arguments: str, env: Mapping[str, str], within_s: float = 300
) -> subprocess.CompletedProcess[str]:
    """As somebody types it, in an empty folder."""
    with tempfile.TemporaryDirectory(prefix="changes-typed-") as folder:
        log, errors = Path(folder) / "log", Path(folder) / "errors"
        exit_code = start(arguments[0], arguments, env, log, errors).wait(within_s)
        return subprocess.CompletedProcess(arguments, exit_code, log.read_text(), errors.read_text())
