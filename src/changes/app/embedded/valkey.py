"""The embedded Valkey, which only rings the bell for Celery: what it holds may be lost.

Taken over, ended and recovered by the same rules as PostgreSQL, and run by the same account.
"""

import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from changes.app.embedded import account as accounts
from changes.app.embedded import binaries, processes, sockets
from changes.app.embedded.account import Account
from changes.app.embedded.binaries import Installation
from changes.app.embedded.cluster import ENVIRONMENT
from changes.app.embedded.errors import ServerDidNotStart, StartInterrupted
from changes.app.embedded.home import Home
from changes.app.embedded.processes import Identity

SOCKET = "valkey.sock"
SILENT_MAX_S = 10
# While it reads its file it answers -LOADING.
LOADING_MAX_S = 60
ANSWER_MAX_S = 1


@dataclass(frozen=True)
class ValkeyOptions:
    account: Account | None = None
    installation: Installation | None = None


class Valkey:
    name = "valkey"

    def __init__(
        self, home: Home, options: ValkeyOptions | None = None, give_up: Callable[[], bool] = processes.never
    ) -> None:
        self._home = home
        self._options = options or ValkeyOptions()
        self._give_up = give_up
        self._folder = home.path / "valkey"
        self._data = self._folder / "data"
        self._log = home.logs / "valkey.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._identity: Identity | None = None

    @property
    def url(self) -> str:
        """For Celery, with the path from the root."""
        return f"redis+socket://{quote(str(self._socket), safe='/')}?virtual_host=0"

    @property
    def pid(self) -> int | None:
        return self._identity.pid if self._identity else None

    def is_running(self) -> bool:
        if self._process is not None:
            return self._process.poll() is None
        return self._identity is not None and processes.is_alive(self._identity)

    def start(self) -> None:
        """Answering when it returns; a server that runs already is taken over."""
        self._home.folder(self._folder.name)
        account = self._account()
        account.refuse_closed(self._folder)
        account.make_folder(self._data)
        installation = self._options.installation or binaries.find_valkey()
        installation = binaries.within_reach(installation, self._home, account)
        if not self._take_over(installation):
            self._end_leftovers(installation)
            self._start_anew(installation, account)
            binaries.remove_older_copies(installation, self._home)

    def stop(self, within_s: float = 3) -> None:
        """Nothing runs is fine too."""
        running = [self._identity] if self._identity else self._left_behind()
        for identity in running:
            self._end(identity, within_s)
        self._identity = None
        if self._process is not None:
            self._process.wait()
            self._process = None

    def _account(self) -> Account:
        return self._options.account or accounts.for_servers()

    @property
    def _socket(self) -> Path:
        self._home.folder(self._folder.name)
        return sockets.folder_for(self._folder, SOCKET, self._account()) / SOCKET

    def _left_behind(self) -> list[Identity]:
        if not self._data.exists():
            return []
        names = ["valkey-server", "redis-server"]
        return [identity for name in names for identity in processes.running_in(self._data, name)]

    def _take_over(self, installation: Installation) -> bool:
        left = processes.running_in(self._data, installation.path.name)
        if len(left) != 1:
            return False
        self._identity = left[0]
        if self._waits_until_it_answers():
            return True
        self._identity = None
        return False

    def _end_leftovers(self, installation: Installation) -> None:
        for identity in processes.running_in(self._data, installation.path.name):
            self._end(identity, SILENT_MAX_S)

    def _start_anew(self, installation: Installation, account: Account) -> None:
        self._launch(installation, account)
        if self._waits_until_it_answers():
            return
        self.stop()
        # A file it cannot read, after a crash of the machine or from a newer version, must not
        # keep everything else from starting: the database knows what is to be done.
        self._set_data_aside(account)
        self._launch(installation, account)
        if not self._waits_until_it_answers():
            self.stop()
            raise ServerDidNotStart(f"Valkey did not start: read {self._log}.")

    def _set_data_aside(self, account: Account) -> None:
        broken = self._data.with_name("data.broken")
        while broken.exists():
            broken = broken.with_name(f"{broken.name}.{int(time.time())}")
        self._data.rename(broken)
        account.make_folder(self._data)

    def _launch(self, installation: Installation, account: Account) -> None:
        path = str(self._socket)
        where = ["--port", "0", "--unixsocket", path, "--unixsocketperm", "700", "--dir", str(self._data)]
        what = ["--save", "", "--appendonly", "yes", "--appendfsync", "everysec"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [installation.path, *where, *what],
                cwd="/",
                env=ENVIRONMENT,
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **account.run_as,
            )
        self._identity = processes.identify(self._process.pid)

    def _waits_until_it_answers(self) -> bool:
        begin = time.monotonic()
        while self.is_running():
            if self._give_up():
                raise StartInterrupted("Stopped while Valkey was starting.")
            answer = self._ping()
            if answer.startswith(b"+PONG"):
                return True
            patience_s = LOADING_MAX_S if answer.startswith(b"-LOADING") else SILENT_MAX_S
            if time.monotonic() - begin > patience_s:
                return False
            time.sleep(processes.POLL_S)
        return False

    def _ping(self) -> bytes:
        # One word on the wire; a client library would double the memory of the supervisor.
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(ANSWER_MAX_S)
            try:
                connection.connect(str(self._socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(100)
            except OSError:
                return b""

    def _end(self, running: Identity, within_s: float) -> None:
        processes.send(running, signal.SIGTERM)
        if not processes.wait_until_gone(running, within_s * 0.8):
            processes.send(running, signal.SIGKILL)
            processes.wait_until_gone(running, within_s * 0.2)
