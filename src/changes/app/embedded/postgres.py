"""The embedded PostgreSQL: started by its own programs, found again after any kind of death.

It outlives a supervisor that is killed and is taken over by the next one. The other way,
letting the kernel end it with its parent (PR_SET_PDEATHSIG), exists on Linux alone, needs
code between fork and exec, and would still need the taking over for every other system.
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
from changes.app.embedded import binaries, cluster, errors, processes, sockets
from changes.app.embedded.account import Account
from changes.app.embedded.binaries import Installation
from changes.app.embedded.cluster import PostmasterFile
from changes.app.embedded.errors import ServerDidNotStart, StartInterrupted
from changes.app.embedded.home import Home
from changes.app.embedded.processes import Identity

PORT = 5432
SILENT_MAX_S = 10
# Recovery after a crash replays what was written since the last checkpoint.
RECOVERY_MAX_S = 300
QUERY_MAX_S = 10
CREATE_DATABASE = (
    f"SELECT 'CREATE DATABASE {cluster.DATABASE}'"  # noqa: S608 -- constants of ours
    f" WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{cluster.DATABASE}') \\gexec\n"
)


@dataclass(frozen=True)
class PostgresOptions:
    """`tcp_port` opens the database to every account of this machine, without a password.

    `fsync=False` is for tests: a crash of the machine may lose everything.
    """

    fsync: bool = True
    tcp_port: int | None = None
    account: Account | None = None
    installation: Installation | None = None


class Postgres:
    name = "postgres"

    def __init__(
        self,
        home: Home,
        options: PostgresOptions | None = None,
        give_up: Callable[[], bool] = processes.never,
    ) -> None:
        self._home = home
        self._options = options or PostgresOptions()
        self._give_up = give_up
        self._port = self._options.tcp_port or PORT
        self._folder = home.path / "postgres"
        self._data = self._folder / "data"
        self._log = home.logs / "postgres.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._identity: Identity | None = None

    @property
    def url(self) -> str:
        """For SQLAlchemy; the path is absolute, so any working folder will do."""
        where = quote(str(self._socket_folder()), safe="/")
        port = f"&port={self._port}" if self._port != PORT else ""
        return f"postgresql+psycopg://{cluster.OWNER}@/{cluster.DATABASE}?host={where}{port}"

    @property
    def pid(self) -> int | None:
        return self._identity.pid if self._identity else None

    @property
    def is_new(self) -> bool:
        """Nothing was ever stored here."""
        return not self._data.exists()

    def is_running(self) -> bool:
        if self._process is not None:
            return self._process.poll() is None
        return self._identity is not None and processes.is_alive(self._identity)

    def start(self) -> None:
        """Accepting connections when it returns; a server that runs already is taken over."""
        installation = self._options.installation or binaries.find_postgres()
        cluster.refuse_other_version(self._data, installation.major)
        self._home.folder(self._folder.name)
        account = self._account()
        account.refuse_closed(self._folder)
        installation = binaries.within_reach(installation, self._home, account)
        if not self._take_over(installation):
            self._clear_leftovers()
            self._start_anew(installation, account)
            binaries.remove_older_copies(installation, self._home)

    def stop(self, within_s: float = 5) -> None:
        """Fast: sessions are cut off, everything committed is on disk. Nothing runs is fine too."""
        running = self._identity or cluster.running_postmaster(self._data)
        if running is not None:
            self._end(running, within_s)
        self._identity = None
        if self._process is not None:
            self._process.wait()
            self._process = None

    def _account(self) -> Account:
        return self._options.account or accounts.for_servers()

    def _socket_folder(self) -> Path:
        self._home.folder(self._folder.name)
        return sockets.folder_for(self._folder, f".s.PGSQL.{self._port}", self._account())

    def _take_over(self, installation: Installation) -> bool:
        """Use the server an earlier supervisor left behind, if it works and is as we want it."""
        running = cluster.running_postmaster(self._data)
        if running is None:
            return False
        self._identity = running
        if self._waits_until_it_accepts() and self._make_database(installation) is None:
            return True
        self._identity = None
        return False

    def _clear_leftovers(self) -> None:
        """We hold the lock of the home: whatever still runs or lies here belongs to nobody."""
        running = cluster.running_postmaster(self._data)
        if running is not None:
            self._end(running, SILENT_MAX_S)
        self._kill_orphans()
        # A file of a dead postmaster may name a pid that another process has by now; the
        # server would refuse to start for as long as that one lives.
        leftover_files = [self._data / "postmaster.pid"]
        leftover_files += [self._socket_folder() / f".s.PGSQL.{self._port}{end}" for end in ("", ".lock")]
        for path in leftover_files:
            path.unlink(missing_ok=True)

    def _kill_orphans(self) -> None:
        # A busy backend outlives a killed postmaster and blocks the next one until its query ends.
        orphans = processes.running_in(self._data, "postgres")
        for orphan in orphans:
            processes.send(orphan, signal.SIGKILL)
        for orphan in orphans:
            processes.wait_until_gone(orphan, SILENT_MAX_S)

    def _start_anew(self, installation: Installation, account: Account) -> None:
        if self.is_new:
            cluster.make(self._data, installation, account)
        settings = cluster.configuration(
            self._data, self._socket_folder(), self._options.tcp_port, fsync=self._options.fsync
        )
        cluster.write_configuration(self._configuration, settings)
        log_from = self._log.stat().st_size if self._log.exists() else 0
        self._launch(installation, account)
        problem = None if self._waits_until_it_accepts() else "it ended, or does not answer"
        problem = problem or self._make_database(installation)
        if problem is not None:
            self.stop()
            raise self._refusal(problem, log_from)

    @property
    def _configuration(self) -> Path:
        # Not in the data folder: root writes it, and must not write where another account
        # could have placed a link.
        return self._folder / "changes.conf"

    def _launch(self, installation: Installation, account: Account) -> None:
        # A session of its own, or Ctrl-C would end the database first and everything else
        # with errors; and no inherited output, or a server left behind would hold its pipe open.
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [installation.path, "-D", self._data, "-c", f"config_file={self._configuration}"],
                cwd="/",
                env=cluster.ENVIRONMENT,
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **account.run_as,
            )
        self._identity = processes.identify(self._process.pid)

    def _waits_until_it_accepts(self) -> bool:
        """False: it ended, is about to, is not as we want it, or says nothing for too long."""
        begin = time.monotonic()
        while True:
            if self._give_up():
                raise StartInterrupted("Stopped while PostgreSQL was starting.")
            seen = self._seen()
            if not self.is_running() or seen.status == "stopping":
                return False
            if seen.status == "ready":
                return self._accepts(seen)
            patience_s = RECOVERY_MAX_S if seen.status == "starting" else SILENT_MAX_S
            if time.monotonic() - begin > patience_s:
                return False
            time.sleep(processes.POLL_S)

    def _seen(self) -> PostmasterFile:
        """What the server says about itself; the file of an earlier one says nothing."""
        seen = cluster.read_postmaster_file(self._data)
        return seen if seen and seen.pid == self.pid else PostmasterFile(0)

    def _accepts(self, seen: PostmasterFile) -> bool:
        folder = str(self._socket_folder())
        if (seen.port, seen.socket_folder) != (str(self._port), folder):
            return False
        with socket.socket(socket.AF_UNIX) as connection:
            return connection.connect_ex(f"{folder}/.s.PGSQL.{self._port}") == 0

    def _make_database(self, installation: Installation) -> str | None:
        """Make the database if it is missing, which also proves that the server answers."""
        where = ["-h", str(self._socket_folder()), "-p", str(self._port), "-U", cluster.OWNER]
        try:
            done = subprocess.run(
                [installation.beside("psql"), "-X", "-q", *where, "-v", "ON_ERROR_STOP=1", "-d", "postgres"],
                input=CREATE_DATABASE,
                capture_output=True,
                text=True,
                check=False,
                env=cluster.ENVIRONMENT,
                timeout=QUERY_MAX_S,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            return "it does not answer"
        return cluster.last_line(done.stderr) if done.returncode else None

    def _refusal(self, problem: str, log_from: int) -> Exception:
        with self._log.open("rb") as log:
            log.seek(log_from)
            said = log.read().decode(errors="replace")
        if errors.says_full(said + problem):
            return errors.disk_full(self._home.path)
        reason = cluster.last_line(said) if said.strip() else problem
        return ServerDidNotStart(f"PostgreSQL did not start ({reason}): read {self._log}.")

    def _end(self, running: Identity, within_s: float) -> None:
        """Fast shutdown, then an immediate one (recovered from at the next start), then kill."""
        for signal_number, patience_s in (
            (signal.SIGINT, within_s * 0.7),
            (signal.SIGQUIT, within_s * 0.2),
            (signal.SIGKILL, within_s * 0.1),
        ):
            processes.send(running, signal_number)
            if processes.wait_until_gone(running, patience_s):
                break
        self._kill_orphans()
