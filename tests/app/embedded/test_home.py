import errno
import os
import shutil
import signal
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from changes.app.embedded import errors, home
from changes.app.embedded.errors import DiskFull, HomeLocked, HomeNotWritable
from changes.app.embedded.home import Home

HOLD = """
import sys, time
from pathlib import Path
from changes.app.embedded.home import Home
Home(Path(sys.argv[1])).open()
print("held", flush=True)
time.sleep(60)
"""
Usage = namedtuple("Usage", "total used free")  # noqa: PYI024 -- what shutil answers


def test_the_chosen_folder_wins_over_the_default() -> None:
    chosen = home.default_home({"CHANGES_HOME": "/somewhere"})

    assert chosen == Path("/somewhere")


def test_the_default_depends_on_who_starts_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    defaults = []
    for uid in (0, 1000):
        monkeypatch.setattr(os, "geteuid", lambda uid=uid: uid)
        defaults.append(home.default_home({}))

    assert defaults == [Path("/var/lib/changes"), tmp_path / ".changes"]


def test_an_ordinary_user_keeps_the_home_closed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with Home(tmp_path / "home") as made:
        modes = [path.stat().st_mode & 0o777 for path in (made.path, made.logs, made.folder("postgres"))]

    assert modes == [0o700, 0o700, 0o700]


def test_root_lets_the_account_of_the_databases_pass(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    with Home(tmp_path / "home") as made:
        modes = [path.stat().st_mode & 0o777 for path in (made.path, made.logs, made.folder("postgres"))]

    assert modes == [0o711, 0o700, 0o711]


def test_a_second_supervisor_is_refused_and_told_who_holds_the_home(tmp_path: Path) -> None:
    with Home(tmp_path), pytest.raises(HomeLocked, match=f"process {os.getpid()}"):
        Home(tmp_path).open()


def test_a_closed_home_can_be_opened_again(tmp_path: Path) -> None:
    Home(tmp_path).__enter__().close()

    with Home(tmp_path) as again:
        assert (again.path / "lock").read_text() == f"{os.getpid()}\n"


@pytest.mark.system
def test_a_holder_that_is_killed_frees_the_home(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    holder.stdout.readline()
    with pytest.raises(HomeLocked, match=f"process {holder.pid}"):
        Home(tmp_path).open()

    holder.send_signal(signal.SIGKILL)
    holder.communicate()

    Home(tmp_path).__enter__().close()


def test_a_file_in_the_place_of_the_home_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(HomeNotWritable, match="file"):
        Home(tmp_path / "file" / "home").open()


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.EPERM])
def test_a_home_without_the_right_to_write_is_refused_by_name(tmp_path: Path, code: int) -> None:
    refusal = errors.refusal_of(OSError(code, os.strerror(code), str(tmp_path / "lock")), tmp_path)

    assert isinstance(refusal, HomeNotWritable)


def test_an_error_elsewhere_is_not_blamed_on_the_home(tmp_path: Path) -> None:
    refusal = errors.refusal_of(OSError(errno.EACCES, "Permission denied", "/etc/elsewhere"), tmp_path)

    assert refusal is None


def test_a_full_disk_is_refused_in_one_sentence(tmp_path: Path) -> None:
    refusal = errors.refusal_of(OSError(errno.ENOSPC, "No space left on device"), tmp_path)

    assert isinstance(refusal, DiskFull)
    assert "CHANGES_HOME" in str(refusal)


def test_a_nearly_full_disk_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9, 150 * 1024**2))

    with pytest.raises(DiskFull, match="only 150 MB left and 200 MB are needed"):
        Home(tmp_path / "home").open()
