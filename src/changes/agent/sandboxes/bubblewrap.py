"""bubblewrap: namespaces of its own around a step, a system that can only be read, a private /tmp.

One sandbox lasts for all commands of a step, so a service that one of them started is there for the
next. Inside, a shell of five lines waits for commands (`RUNNER`): it is told by a pipe that the next
one lies ready in another, runs it in a session of its own and says how it ended. Whatever is hostile
inside can at worst kill or fool that shell, and so break or fake the outcome of its own step, which
it could do anyway.

When the process outside ends, the kernel ends everything inside; so does the death of the agent.
"""

import os
import re
import shlex
import signal
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from changes.agent.logs import PIPES_FOLDER, make_pipe
from changes.agent.processes import Identity, Tree, identity, kill_tree
from changes.agent.sandboxes.process import popen, quiet_run
from changes.agent.sandboxes.role import (
    OWN_PATH,
    UMASK,
    VARIABLE,
    Ended,
    Ground,
    Layer,
    Running,
    Start,
    end_group,
    entering,
    odd_variables,
    return_code,
)

PROGRAM = "bwrap"
# `times` counts the children that were waited for; its second line is theirs. Each command is a process
# group of its own (`kill 0` is meant for itself), and in the foreground, because in the background it
# would be deaf to interrupts. Where there is bash, it costs no further program.
RUNNER = """
exec 2>/dev/null
set -m
while read -r word; do
  ( . "$0" ) </dev/null >/dev/null
  echo $?
  times
done
"""
PLAIN_RUNNER = """
exec 2>/dev/null
while read -r word; do
  setsid /bin/sh "$0" </dev/null >/dev/null
  echo $?
  times
done
"""
# Lays folders of the step over folders of the machine, then becomes what comes behind them.
LAY = (
    'n=$1; shift; while [ "$n" -gt 0 ]; do mount -t overlay overlay -o "$1" "$2" || exit 126;'
    ' shift 2; n=$((n-1)); done; exec "$@"'
)
LINES_OF_ANSWER = 3
TIMES = re.compile(r"(\d+)m([\d.]+)s")
LOST = -int(signal.SIGKILL)
PROBE_WITHIN_S, PAUSE_S = 10.0, 0.005
# Its pages count as memory of the step.
TMPFS_MAX_BYTES = 2 * 2**30
TMPFS_SHARE_OF_MEMORY = 4
NAMESPACES = ("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try")
# Sockets of services live in these; names are looked up through some of them.
RUNTIME_FOLDERS = (Path("/run"), Path("/var/run"))
RESOLVERS = (Path("/run/systemd/resolve"), Path("/run/resolvconf"), Path("/run/NetworkManager/resolv.conf"))
MS_PER_S, S_PER_MIN = 1000, 60


class BubblewrapSandbox:
    kind = "bubblewrap"

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._inside: _Inside | None = None
        self._ready = make_pipe(ground.folder.path / PIPES_FOLDER / "command")
        ground.account.own(self._ready)

    def start(self, start: Start) -> Running:
        if self._inside is None or self._inside.is_over:
            self._inside = _Inside(self._ground, self._ready)
        return self._inside.run(script_of(start))

    def stop(self) -> None:
        """The shell inside has no mark, so it outlives the grace of the commands."""
        if self._inside is not None:
            kill_tree(Tree(self._ground.mark))
            self._inside.kill()

    def end(self, *, is_alone: bool) -> None:  # noqa: ARG002 - nobody can have left a sandbox
        if self._inside is not None:
            self._inside.kill()
        end_group(self._ground.group)


class _Inside:
    """One bubblewrap process and the shell in it."""

    def __init__(self, ground: Ground, ready: Path) -> None:
        self._ready = ready
        asks, self._asks = os.pipe()
        answers_end, answers = os.pipe()
        console = os.open(ground.console, os.O_WRONLY)
        try:
            self._process = popen(
                [*entering(ground), *layering(ground), PROGRAM, *view(ground), "--", *runner(), str(ready)],
                stdin=asks,
                stdout=answers,
                stderr=console,
                env={"PATH": OWN_PATH, "LANG": "C.UTF-8"},
                cwd="/",
                umask=UMASK,
                start_new_session=True,
            )
        except OSError:
            os.close(self._asks)
            os.close(answers_end)
            raise
        finally:
            for descriptor in (asks, answers, console):
                os.close(descriptor)
        self._lines = os.fdopen(answers_end, "r", errors="replace")
        self._reading, self._killing = threading.Lock(), threading.Lock()
        self._used_ms = 0
        self.is_over = False
        self.leader: Identity | None = identity(self._process.pid)

    def run(self, script: str) -> "_Command":
        """The command waits in its pipe before the shell is told to look."""
        handing_over = threading.Thread(target=self._hand_over, args=[script], daemon=True, name="hand over")
        handing_over.start()
        try:
            os.write(self._asks, b"go\n")
        except BrokenPipeError:
            # It is gone already; whoever waits for an answer learns so.
            self.is_over = True
        return _Command(self, handing_over)

    def _hand_over(self, script: str) -> None:
        with suppress(BrokenPipeError), self._ready.open("wb", buffering=0) as pipe:
            pipe.write(script.encode(errors="surrogateescape"))

    def answer(self) -> Ended:
        with self._reading:
            lines = [] if self._lines.closed else [self._lines.readline() for _ in range(LINES_OF_ANSWER)]
        code = lines[0].strip() if lines else ""
        if not code.isdecimal():
            self.is_over = True
            return Ended(LOST)
        before, self._used_ms = self._used_ms, cpu_ms(lines[-1])
        return Ended(return_code(int(code)), max(0, self._used_ms - before))

    def let_go(self) -> None:
        """Of whoever waits to hand over a command that nobody will take."""
        with suppress(OSError):
            os.close(os.open(self._ready, os.O_RDONLY | os.O_NONBLOCK))

    def kill(self) -> None:
        with self._killing:
            if self._process.returncode is not None:
                return
            self.is_over = True
            # It takes all inside with it, by the kernel's hand.
            self._process.kill()
            self._process.wait()
            os.close(self._asks)
            with self._reading:
                self._lines.close()


class _Command:
    def __init__(self, inside: _Inside, handing_over: threading.Thread) -> None:
        self._inside = inside
        self._handing_over = handing_over
        self.leader = inside.leader

    def wait(self) -> Ended:
        ended = self._inside.answer()
        while self._handing_over.is_alive():
            self._inside.let_go()
            self._handing_over.join(PAUSE_S)
        return ended

    def sign_of_end(self) -> None:
        """Its answer is one, but nobody else may read that meanwhile."""


def view(ground: Ground) -> list[str]:
    """What the step sees of the machine."""
    size = str(tmpfs_bytes())
    words = ["--die-with-parent", "--new-session", *NAMESPACES]
    words += [] if ground.has_network else ["--unshare-net"]
    words += [] if ground.is_trusted else ["--disable-userns"]
    words += ["--cap-drop", "ALL", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"]
    for scratch in ("/tmp", "/var/tmp", "/dev/shm"):  # noqa: S108 - these are made for this step
        words += ["--size", size, "--tmpfs", scratch]
    for unseen in (*existing(RUNTIME_FOLDERS), *outermost(existing(ground.hidden))):
        words += ["--tmpfs", str(unseen)]
    ours = (ground.folder.scripts, ground.folder.path / PIPES_FOLDER)
    for seen in (*existing(RESOLVERS), *existing(ground.readable), *ours):
        words += ["--ro-bind", str(seen), str(seen)]
    for writable in ground.writable:
        words += ["--bind", str(writable), str(writable)]
    for layer in ground.layers:
        words += ["--bind", str(layer.merged), str(layer.target)]
    if ground.layers:
        # Where the layers are mounted the account is called root; inside it has its own name again.
        words += ["--uid", str(ground.account.uid), "--gid", str(ground.account.gid)]
    return words


def layering(ground: Ground) -> list[str]:
    """Mounts them in namespaces that end with the sandbox."""
    return mounting(ground.layers) if ground.layers else []


def mounting(layers: Sequence[Layer]) -> list[str]:
    """What stands before a program that finds them mounted."""
    words = ["unshare", "--user", "--map-root-user", "--mount", "--", "/bin/sh", "-c", LAY, "sh"]
    words.append(str(len(layers)))
    for layer in layers:
        lowers = ":".join(str(lower) for lower in layer.lowers)
        options = f"lowerdir={lowers},upperdir={layer.upper},workdir={layer.work},userxattr"
        words += [options, str(layer.merged)]
    return words


def runner() -> list[str]:
    if Path("/bin/bash").exists():
        return ["/bin/bash", "--norc", "-c", RUNNER]
    return ["/bin/sh", "-c", PLAIN_RUNNER]


def existing(paths: tuple[Path, ...]) -> tuple[Path, ...]:
    return tuple(path for path in paths if path.exists() and not path.is_symlink())


def outermost(paths: tuple[Path, ...]) -> tuple[Path, ...]:
    return tuple(path for path in paths if not any(other in path.parents for other in paths))


def tmpfs_bytes() -> int:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(TMPFS_MAX_BYTES, memory // TMPFS_SHARE_OF_MEMORY)


def script_of(start: Start) -> str:
    """Variables travel in the text of a script that is read from a pipe: not in arguments, which
    everybody on the machine can read, and not on the disk. Names a shell cannot have go by `env`.
    """
    known = {name: value for name, value in start.env.items() if VARIABLE.fullmatch(name)}
    lines = [f"export {name}={shlex.quote(value)}" for name, value in known.items()]
    lines.append(f"cd {shlex.quote(str(start.folder))} || exit 126")
    lines.append("unset OLDPWD LANG" if "LANG" not in known else "unset OLDPWD")
    argv = [*odd_variables(start.env), *start.argv]
    streams = f">{shlex.quote(str(start.output))} 2>{shlex.quote(str(start.errors))}"
    return "\n".join([*lines, f"exec {shlex.join(argv)} {streams}", ""])


def cpu_ms(times: str) -> int:
    """Of the second line of `times`, which counts from the start of the shell."""
    seconds = sum(int(minutes) * S_PER_MIN + float(rest) for minutes, rest in TIMES.findall(times))
    return round(seconds * MS_PER_S)


def works(ground_of_probe: dict[str, Any]) -> bool:
    """Whether namespaces can be made here: many containers do not allow it."""
    argv = [PROGRAM, *NAMESPACES, "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"]
    probe = quiet_run([*argv, "--die-with-parent", "--", "/bin/true"], PROBE_WITHIN_S, **ground_of_probe)
    return probe is not None and probe.returncode == 0
