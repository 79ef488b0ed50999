"""The brokers people use, each started here on loopback, killed -9 and started again on its data."""

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Protocol

import pytest
from kombu import Connection
from kombu.exceptions import OperationalError

from changes.app.embedded import processes
from changes.app.embedded.home import Home
from changes.app.embedded.valkey import Valkey

RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
STARTS_WITHIN_S = 120.0


class Broker(Protocol):
    url: str

    def start(self) -> None: ...
    def kill(self) -> None: ...
    def stop(self) -> None: ...


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def required(program: str, package: str) -> str:
    """The long tests need these; their absence is a fault of the set-up and not a reason to pass."""
    path = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")
    if path is None:
        pytest.fail(f"{program} is missing: apt-get install {package}, or sh scripts/have-packages long")
    return path


def answers(url: str) -> bool:
    try:
        with Connection(url, connect_timeout=2) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0)
    except (OperationalError, OSError):
        return False
    return True


class EmbeddedValkey:
    def __init__(self, folder: Path) -> None:
        self.home = Home(folder / "valkey-home")
        self.home.open()
        self.server = Valkey(self.home)
        self.url = self.server.url

    def start(self) -> None:
        self.server = Valkey(self.home)
        self.server.start()

    def kill(self) -> None:
        os.kill(self.server.pid or 0, signal.SIGKILL)
        assert processes.wait_until(lambda: not self.server.is_running(), 60)

    def stop(self) -> None:
        self.server.stop()
        self.home.close()


class OwnProcess:
    """A server that is one process group of ours."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.running: subprocess.Popen[bytes] | None = None

    def launch(self, command: list[str], env: dict[str, str]) -> None:
        with (self.folder / "broker.log").open("ab") as log:
            self.running = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**os.environ, **env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        assert processes.wait_until(lambda: answers(self.url), STARTS_WITHIN_S), self.said()

    def said(self) -> str:
        return (self.folder / "broker.log").read_text(errors="replace")[-3000:]

    def kill(self) -> None:
        assert self.running is not None
        os.killpg(self.running.pid, signal.SIGKILL)
        self.running.wait()

    def stop(self) -> None:
        if self.running is not None and self.running.poll() is None:
            self.kill()


class DebianRedis(OwnProcess):
    def __init__(self, folder: Path) -> None:
        self.program = required("redis-server", "redis-server")
        self.port = free_port()
        super().__init__(folder, f"redis://127.0.0.1:{self.port}/0")

    def start(self) -> None:
        where = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        self.launch([self.program, *where, "--save", "", "--appendonly", "yes"], {})


class DebianRabbitMQ(OwnProcess):
    """With an epmd of its own, which would otherwise stay behind as a daemon."""

    def __init__(self, folder: Path) -> None:
        required("rabbitmq-server", "rabbitmq-server")
        self.port, self.distribution_port, self.epmd_port = free_port(), free_port(), free_port()
        super().__init__(folder, f"amqp://guest:guest@127.0.0.1:{self.port}//")
        names = {"ERL_EPMD_PORT": str(self.epmd_port), "ERL_EPMD_ADDRESS": "127.0.0.1"}
        self.env = {
            **names,
            "HOME": str(folder),
            "RABBITMQ_NODENAME": f"changes{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self.distribution_port),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }
        (folder / "plugins").write_text("[].\n")
        epmd = [required("epmd", "erlang-base"), "-address", "127.0.0.1", "-port", str(self.epmd_port)]
        self.epmd = subprocess.Popen(epmd, env={**os.environ, **names}, stdin=subprocess.DEVNULL)

    def start(self) -> None:
        self.launch([str(RABBITMQ)], self.env)

    def stop(self) -> None:
        super().stop()
        self.epmd.kill()
        self.epmd.wait()
