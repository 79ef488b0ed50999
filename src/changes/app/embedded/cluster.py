"""The data folder of PostgreSQL: making it, its configuration, and who runs on it."""

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from changes.app.embedded import errors, processes
from changes.app.embedded.account import Account
from changes.app.embedded.binaries import Installation
from changes.app.embedded.errors import DatabaseOfOtherVersion, ServerDidNotStart
from changes.app.embedded.processes import Identity

OWNER = "changes"
DATABASE = "changes"
# Nothing of the caller's environment reaches the server: PGDATA, PGPORT or a locale would change it.
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
BUILTIN_LOCALE_SINCE = 17
MAKING = "making-"
LOCAL = "local.conf"
DOUBLE_QUOTE = '"'
# A commit still reaches the operating system, so that a killed server loses nothing.
QUIET_LOSS = ["fsync = off", "full_page_writes = off"]


@dataclass(frozen=True)
class PostmasterFile:
    """What a postmaster writes about itself into its data folder."""

    pid: int
    port: str = ""
    socket_folder: str = ""
    status: str = ""


def read_postmaster_file(data: Path) -> PostmasterFile | None:
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return None
    return parse_postmaster_file(lines)


def parse_postmaster_file(lines: list[str]) -> PostmasterFile | None:
    """The lines come one after the other: a file may be seen half written."""
    if not lines or not lines[0].strip().isdecimal():
        return None
    pid, _, _, port, socket_folder, _, _, status, *_ = [line.strip() for line in lines] + [""] * 8
    return PostmasterFile(int(pid), port, socket_folder, status)


def running_postmaster(data: Path) -> Identity | None:
    """The process that the data folder names, if it lives and really serves this folder."""
    seen = read_postmaster_file(data)
    if seen is None or not processes.is_running_in(seen.pid, data, "postgres"):
        return None
    return processes.identify(seen.pid)


def refuse_other_version(data: Path, major: int) -> None:
    try:
        found = (data / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        return
    if found != str(major):
        raise DatabaseOfOtherVersion(
            f"The database in {data} was made by PostgreSQL {found} and this is PostgreSQL {major}:"
            " move its content with pg_dump and pg_restore, or choose another folder with CHANGES_HOME."
        )


def make(data: Path, installation: Installation, account: Account) -> None:
    """Make an empty cluster; half of one is never taken for a whole one."""
    for unfinished in data.parent.glob(f"{MAKING}*"):
        shutil.rmtree(unfinished, ignore_errors=True)
    new = Path(tempfile.mkdtemp(prefix=MAKING, dir=data.parent))
    account.make_folder(new)
    done = subprocess.run(
        [installation.beside("initdb"), "-D", new, *_initdb_options(installation.major)],
        cwd="/",
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
        **account.run_as,
    )
    if done.returncode:
        if errors.says_full(done.stderr):
            raise errors.disk_full(data)
        raise ServerDidNotStart(f"PostgreSQL could not make its data folder: {last_line(done.stderr)}")
    new.rename(data)


def _initdb_options(major: int) -> list[str]:
    options = ["-A", "trust", "-U", OWNER, "--encoding=UTF8", "--no-sync"]
    if major >= BUILTIN_LOCALE_SINCE:
        # The same order and the same lower() on every system.
        return [*options, "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    return [*options, "--locale=C.UTF-8"]


def write_configuration(path: Path, lines: list[str]) -> None:
    path.write_text("\n".join([f"# Written at every start; put your own lines into {LOCAL}.", *lines, ""]))
    path.chmod(0o644)


def configuration(data: Path, socket_folder: Path, tcp_port: int | None, *, fsync: bool) -> list[str]:
    """Ours around theirs: initdb's file comes first, then what we need, then the operator's wishes."""
    return [
        f"include {quoted(str(data / 'postgresql.conf'))}",
        f"listen_addresses = {quoted('127.0.0.1' if tcp_port else '')}",
        f"port = {tcp_port or 5432}",
        # A list, hence the inner quotes: a comma or a space in the path would split it.
        f"unix_socket_directories = {quoted(DOUBLE_QUOTE + str(socket_folder) + DOUBLE_QUOTE)}",
        "unix_socket_permissions = 0700",
        "jit = off",
        "timezone = 'UTC'",
        "log_timezone = 'UTC'",
        *([] if fsync else QUIET_LOSS),
        *([f"include {quoted(LOCAL)}"] if (data.parent / LOCAL).exists() else []),
    ]


def quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def last_line(text: str) -> str:
    """The line that says why: the last one that speaks of an error, else the last one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if "FATAL" in line or "PANIC" in line or "error:" in line]
    return (telling or lines or ["no word about why"])[-1]
