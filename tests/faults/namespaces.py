"""Two network namespaces with a cable between them: a server on the one side, an agent on the other."""

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

CLONE_NEWNET = 0x40000000
SERVER_ADDRESS, AGENT_ADDRESS = "10.99.0.1", "10.99.0.2"
WITHIN_S = 200
numbers = count()


class NotAllowed(Exception):
    """This machine does not let us make network namespaces."""


class Cable:
    """What `tests/faults/proxy.py` does to connections is done here to the link below them."""

    def __init__(self) -> None:
        name = f"changes-{os.getpid()}-{next(numbers)}"
        self.server_side, self.agent_side = f"{name}-s", f"{name}-a"
        # Names of devices are short, and seen by nobody else in there.
        self._devices = {self.server_side: "vs", self.agent_side: "va"}
        for side in self._devices:
            _run("ip", "netns", "add", side)
        try:
            self._lay()
        except NotAllowed:
            self.close()
            raise

    def cut(self) -> None:
        _run("ip", "-n", self.server_side, "link", "set", "vs", "down")

    def drop(self) -> None:
        self._filter("-A", "DROP")

    def reset(self) -> None:
        """Whatever the agent sends is answered by a reset, until it is mended."""
        self._filter("-A", "REJECT", "--reject-with", "tcp-reset")

    def lose(self, share: float) -> None:
        self._filter(
            "-A", "DROP", matching=("-m", "statistic", "--mode", "random", "--probability", str(share))
        )

    def mend(self) -> None:
        with self.inside(self.server_side):
            _run("iptables", "--wait", "--flush", "INPUT")
        _run("ip", "-n", self.server_side, "link", "set", "vs", "up")

    def close(self) -> None:
        for side in self._devices:
            with suppress(NotAllowed):
                _run("ip", "netns", "delete", side)

    @contextmanager
    def inside(self, side: str) -> Iterator[None]:
        """For this thread, the sockets it makes, and the processes it starts."""
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            there = os.open(f"/run/netns/{side}", os.O_RDONLY)
            try:
                _enter(there)
            finally:
                os.close(there)
            try:
                yield
            finally:
                _enter(here)
        finally:
            os.close(here)

    def _lay(self) -> None:
        _run(
            "ip", "-n", self.server_side, "link", "add", "vs", "type", "veth",
            "peer", "name", "va", "netns", self.agent_side,
        )  # fmt: skip
        addresses = {self.server_side: SERVER_ADDRESS, self.agent_side: AGENT_ADDRESS}
        for side, device in self._devices.items():
            _run("ip", "-n", side, "address", "add", f"{addresses[side]}/24", "dev", device)
            _run("ip", "-n", side, "link", "set", device, "up")
            _run("ip", "-n", side, "link", "set", "lo", "up")

    def _filter(self, how: str, *what: str, matching: tuple[str, ...] = ()) -> None:
        with self.inside(self.server_side):
            _run("iptables", "--wait", how, "INPUT", "-p", "tcp", "-s", AGENT_ADDRESS, *matching, "-j", *what)


def are_allowed() -> bool:
    if not Path("/run").is_dir() or os.geteuid() != 0:
        return False
    try:
        cable = Cable()
    except NotAllowed:
        return False
    try:
        cable.reset()
        cable.mend()
    except (NotAllowed, OSError):
        return False
    finally:
        cable.close()
    return True


def _enter(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def _run(*words: str) -> None:
    try:
        subprocess.run(words, check=True, capture_output=True, timeout=WITHIN_S)
    except (OSError, subprocess.SubprocessError) as error:
        raise NotAllowed(f"{' '.join(words)}: {error}") from error
