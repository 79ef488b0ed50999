import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import psycopg
import pytest

from changes.app.embedded import account as accounts
from changes.app.embedded import cluster, postgres, processes
from changes.app.embedded.binaries import Installation
from changes.app.embedded.errors import (
    DatabaseOfOtherVersion,
    DiskFull,
    ServerDidNotStart,
    StartInterrupted,
)
from changes.app.embedded.home import Home
from changes.app.embedded.postgres import Postgres, PostgresOptions

pytestmark = pytest.mark.system

Start = Callable[[], Postgres]
Ask = Callable[[Postgres, str], object]

OWNER = """
import sys, time
from pathlib import Path
from changes.app.embedded.home import Home
from changes.app.embedded.binaries import Installation
from changes.app.embedded.postgres import Postgres, PostgresOptions
programs = Installation("postgresql", Path(sys.argv[2]), "postgres", major=18)
with Home(Path(sys.argv[1])) as home:
    server = Postgres(home, PostgresOptions(installation=programs))
    server.start()
    print(server.pid, flush=True)
    time.sleep(60)
"""
# Imports all it needs before it becomes an ordinary user, who may not reach the interpreter.
AS_ORDINARY_USER = """
import os, pwd, sys
from pathlib import Path
from changes.app.embedded import binaries
from changes.app.embedded.home import Home
from changes.app.embedded.postgres import Postgres, PostgresOptions
programs = Path(sys.argv[2])
if os.geteuid() == 0:
    user = pwd.getpwnam("nobody")
    os.setgroups([]); os.setgid(user.pw_gid); os.setuid(user.pw_uid)
assert os.geteuid() != 0
for _ in range(2):
    with Home(Path(sys.argv[1])) as home:
        found = binaries.Installation("postgresql", programs, "postgres", major=18)
        server = Postgres(home, PostgresOptions(installation=found))
        server.start()
        server.stop()
        owner = os.stat(home.path / "postgres/data").st_uid
        print(oct(home.path.stat().st_mode & 0o777), owner == os.geteuid())
"""


def programs_of(options: PostgresOptions) -> Path:
    assert options.installation is not None
    return options.installation.path.parent


def pid_of(server: Postgres) -> int:
    assert server.pid is not None
    return server.pid


def test_the_first_start_makes_the_database(home: Home, options: PostgresOptions, ask: Ask) -> None:
    server = Postgres(home, options)
    assert server.is_new

    server.start()

    assert ask(server, "SELECT current_database() || current_user || lower('Ä')") == "changeschangesä"
    assert not server.is_new
    server.stop()


def test_the_next_start_finds_everything_again(start: Start, ask: Ask) -> None:
    first = start()
    ask(first, "DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT 42 AS answer")
    first.stop()

    second = start()

    assert ask(second, "SELECT answer FROM kept") == 42


def test_stopping_leaves_no_process(start: Start, data: Path) -> None:
    server = start()
    assert len(processes.running_in(data, "postgres")) > 1

    server.stop()

    assert processes.running_in(data, "postgres") == []
    assert not server.is_running()


def test_stopping_what_does_not_run_is_fine(home: Home) -> None:
    Postgres(home).stop()


def test_the_data_belongs_to_an_account_other_than_root_and_is_closed(start: Start, data: Path) -> None:
    server = start()

    assert data.stat().st_mode & 0o777 == 0o700
    assert psutil.Process(pid_of(server)).uids().real == accounts.for_servers().uid != 0


def test_only_the_socket_listens(start: Start) -> None:
    server = start()

    assert psutil.Process(pid_of(server)).net_connections("inet") == []


def test_a_port_can_be_opened_on_the_loopback(home: Home, data: Path, options: PostgresOptions) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Postgres(home, replace(options, tcp_port=port))

    server.start()

    psycopg.connect(f"postgresql://changes@127.0.0.1:{port}/changes").close()
    psycopg.connect(server.url.replace("+psycopg", "")).close()
    server.stop()


def test_a_server_left_with_another_port_is_replaced(
    start: Start, home: Home, options: PostgresOptions, ask: Ask
) -> None:
    left = start()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    server = Postgres(home, replace(options, tcp_port=port))
    server.start()

    assert ask(server, "SHOW port") == str(port)
    assert not left.is_running()
    server.stop()


def test_the_server_of_a_killed_owner_is_taken_over(
    folder: Path, data: Path, options: PostgresOptions, ask: Ask
) -> None:
    argv: list[str | Path] = [sys.executable, "-c", OWNER, folder / "home", programs_of(options)]
    owner = subprocess.Popen(argv, stdout=subprocess.PIPE)
    assert owner.stdout is not None
    pid = int(owner.stdout.readline())
    owner.kill()
    owner.communicate()

    with Home(folder / "home") as home:
        server = Postgres(home, options)
        server.start()

        assert server.pid == pid
        assert ask(server, "SELECT 1") == 1
        server.stop()
        assert processes.identify(pid) is None


def test_a_killed_server_starts_again_although_a_query_still_runs(start: Start, data: Path, ask: Ask) -> None:
    first = start()
    ask(first, "DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT 42 AS answer")
    busy = threading.Thread(target=_fail_in, args=(first, "SELECT pg_sleep(600)"))
    busy.start()
    running = (
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)' AND pid <> pg_backend_pid()"
    )
    assert processes.wait_until(lambda: ask(first, running) == 1, 60)
    os.kill(pid_of(first), signal.SIGKILL)
    assert processes.wait_until(lambda: not first.is_running(), 60)

    second = start()

    assert ask(second, "SELECT answer FROM kept") == 42
    busy.join(60)
    assert not busy.is_alive()


def _fail_in(server: Postgres, query: str) -> None:
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(server.url.replace("+psycopg", "")).execute(query.encode())


def test_a_reused_pid_in_the_lock_files_does_not_block_the_start(start: Start, data: Path, ask: Ask) -> None:
    owner = accounts.for_servers()
    stranger = subprocess.Popen(["sleep", "600"], **owner.run_as)
    socket_folder = owner_folder(data.parent / "run")
    lines = f"{stranger.pid}\n{data}\n1700000000\n5432\n{socket_folder}\n\n  1234567    1234567\nready   \n"
    for path in (data / "postmaster.pid", socket_folder / ".s.PGSQL.5432.lock"):
        path.write_text(lines)
        os.chown(path, owner.uid, owner.gid)

    server = start()

    assert ask(server, "SELECT 1") == 1
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def owner_folder(path: Path) -> Path:
    accounts.for_servers().make_folder(path)
    return path


def test_a_server_that_hangs_is_replaced(start: Start, monkeypatch: pytest.MonkeyPatch, ask: Ask) -> None:
    hanging = start()
    # The next one, on a busy machine, must not be taken for another that hangs.
    monkeypatch.setattr(postgres, "QUERY_MAX_S", 3)
    monkeypatch.setattr(postgres, "SILENT_MAX_S", 3)
    os.kill(pid_of(hanging), signal.SIGSTOP)

    server = start()

    assert server.pid != hanging.pid
    assert ask(server, "SELECT 1") == 1


def test_a_database_of_another_version_is_refused_and_both_are_named(
    home: Home, options: PostgresOptions
) -> None:
    data = home.folder("postgres") / "data"
    data.mkdir()
    (data / "PG_VERSION").write_text("16\n")

    with pytest.raises(DatabaseOfOtherVersion, match="PostgreSQL 16 and this is PostgreSQL 18"):
        Postgres(home, options).start()


def test_a_data_folder_cut_short_while_it_was_made_is_made_anew(home: Home, options: PostgresOptions) -> None:
    unfinished = home.folder("postgres") / "making-1"
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18\n")
    server = Postgres(home, options)

    server.start()

    assert not unfinished.exists()
    server.stop()


@pytest.mark.parametrize("name", ["long" * 30, "with space", "with,comma"])
def test_any_path_of_the_home_will_do(
    folder: Path, borrow: Callable[[Home], Path], options: PostgresOptions, ask: Ask, name: str
) -> None:
    with Home(folder / name) as home:
        borrow(home)
        server = Postgres(home, options)
        server.start()

        assert ask(server, "SELECT 1") == 1
        assert Postgres(home, options).url == server.url
        server.stop()
        _forget_socket_folder(home)


def _forget_socket_folder(home: Home) -> None:
    record = home.path / "postgres/socket-folder"
    if record.exists():
        Path(record.read_text()).rmdir()


def test_the_operators_own_lines_win(start: Start, data: Path, ask: Ask) -> None:
    (data.parent / "local.conf").write_text("work_mem = '7MB'\n")

    server = start()

    assert ask(server, "SHOW work_mem") == "7MB"


def test_a_server_that_ends_at_once_says_why(start: Start, data: Path) -> None:
    (data.parent / "local.conf").write_text("no_such_setting = 1\n")

    with pytest.raises(ServerDidNotStart, match="contains errors"):
        start()


def test_a_disk_that_fills_up_while_the_data_is_made_is_named(home: Home, tmp_path: Path) -> None:
    (tmp_path / "initdb").write_text("#!/bin/sh\necho 'initdb: error: No space left on device' >&2; exit 1\n")
    (tmp_path / "initdb").chmod(0o755)
    full = Installation("postgresql", tmp_path, "postgres", major=18)
    own = accounts.Account("own", os.geteuid(), os.getegid())
    server = Postgres(home, PostgresOptions(installation=full, account=own))

    with pytest.raises(DiskFull, match="is full"):
        server.start()


def test_a_start_can_be_called_off(home: Home, data: Path, options: PostgresOptions) -> None:
    server = Postgres(home, options, give_up=lambda: True)

    with pytest.raises(StartInterrupted):
        server.start()

    server.stop()
    assert processes.running_in(data, "postgres") == []


def test_an_ordinary_user_needs_no_other_account(folder: Path, options: PostgresOptions) -> None:
    folder.chmod(0o777)
    done = subprocess.run(
        [sys.executable, "-c", AS_ORDINARY_USER, folder / "home", programs_of(options)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout, done.stderr) == ("0o700 True\n" * 2, "")


@pytest.mark.parametrize(
    ("lines", "pid", "status"),
    [
        ([], None, None),
        ([""], None, None),
        (["12"], 12, ""),
        (["12", "/data", "17", "5432", "/run", "", " 1 2", "ready   "], 12, "ready"),
    ],
)
def test_a_half_written_postmaster_file_is_read_as_far_as_it_goes(
    lines: list[str], pid: int | None, status: str | None
) -> None:
    seen = cluster.parse_postmaster_file(lines)

    assert (seen and seen.pid, seen and seen.status) == (pid, status)
