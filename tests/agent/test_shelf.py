"""Snapshots that lie unpacked on a machine: which are there, which stay, and which roots a step lies on."""

import os
from pathlib import Path

import pytest

from changes.agent.accounts import Account
from changes.agent.keeping import archives, containers, roots, shelf
from changes.agent.keeping.archives import BadArchive
from changes.agent.keeping.roots import Root
from changes.agent.keeping.shelf import Shelf
from changes.agent.keeping.stock import Stock

OWN = Account("", os.geteuid(), os.getegid())


@pytest.fixture
def steps(tmp_path: Path) -> Path:
    folder = tmp_path / "steps"
    folder.mkdir()
    return folder


@pytest.fixture
def kept(tmp_path: Path, steps: Path) -> Shelf:
    return Shelf(Stock(tmp_path), steps, lambda: False)


def a_step(steps: Path, name: str) -> Path:
    folder = steps / name
    folder.mkdir(exist_ok=True)
    return folder


def packed(tmp_path: Path, *said: str, content: str = "x") -> archives.Packed:
    folder = tmp_path / "of-a-step"
    folder.mkdir(exist_ok=True)
    (folder / "file").write_text(content)
    return archives.pack([Root(each, folder, ()) for each in said], tmp_path / "packed", OWN)


def test_each_root_is_found_whatever_order_another_plan_names_them_in(
    kept: Shelf, steps: Path, tmp_path: Path
) -> None:
    found = packed(tmp_path, "/opt", "~", "built")

    kept.put(found.sha256, found.path, OWN)
    taken = kept.take(found.sha256, a_step(steps, "one"))

    assert taken is not None
    assert list(taken) == ["/opt", "~", "built"]
    assert (taken["/opt"] / "file").read_text() == (taken["~"] / "file").read_text() == "x"
    # What a checkout brings is mixed with it, so that lies nowhere.
    assert not list(taken["built"].iterdir())


def test_what_is_not_unpacked_here_is_not_taken(kept: Shelf, steps: Path) -> None:
    assert kept.take("0" * 64, a_step(steps, "one")) is None


def test_what_broke_off_is_unpacked_anew(kept: Shelf, steps: Path, tmp_path: Path) -> None:
    found = packed(tmp_path, "~")
    (kept.layers / found.sha256 / "0").mkdir(parents=True)
    (kept.layers / f"{found.sha256}.new").mkdir()

    kept.put(found.sha256, found.path, OWN)

    taken = kept.take(found.sha256, a_step(steps, "one"))
    assert taken is not None
    assert (taken["~"] / "file").read_text() == "x"


def test_an_archive_that_cannot_be_read_leaves_nothing_to_take(
    kept: Shelf, steps: Path, tmp_path: Path
) -> None:
    (tmp_path / "damaged").write_bytes(b"no archive")

    with pytest.raises(BadArchive):
        kept.put("0" * 64, tmp_path / "damaged", OWN)

    assert kept.take("0" * 64, a_step(steps, "one")) is None


def test_what_a_step_lies_on_stays_and_of_the_rest_the_newest(
    kept: Shelf, steps: Path, tmp_path: Path
) -> None:
    digests = []
    for number in range(shelf.UNUSED_LAYERS_KEPT + 3):
        found = packed(tmp_path, "~", content=str(number))
        kept.put(found.sha256, found.path, OWN)
        os.utime(kept.layers / found.sha256, (number + 1, number + 1))
        digests.append(found.sha256)
        if number == 0:
            kept.take(found.sha256, a_step(steps, "runs"))
            os.utime(kept.layers / found.sha256, (1, 1))

    here = {path.name for path in kept.layers.iterdir()}

    assert here == {digests[0], *digests[2:]}


def test_owners_of_a_container_stay_as_they_are(tmp_path: Path) -> None:
    """Of the account of steps is only what a step has made there, not the system itself."""
    if os.geteuid() != 0:
        assert OWN.uid != 0
        return
    steps_account = Account("steps", 1234, 1235)
    upper = tmp_path / "upper"
    (upper / "opt").mkdir(parents=True)
    (upper / "opt/made").write_text("x")
    os.chown(upper / "opt/made", 1234, 1235)
    (upper / "opt").chmod(0o1777)
    found = archives.pack(
        [Root(containers.ROOTS["lxc"], upper, (), is_of_container=True)], tmp_path / "p", steps_account
    )
    kept = Shelf(Stock(tmp_path), tmp_path, lambda: False)

    kept.put(found.sha256, found.path, Account("others", 2345, 2346))

    root = kept.layers / found.sha256 / "0"
    assert [(path.stat().st_uid, path.stat().st_mode & 0o7777) for path in (root, root / "opt")] == [
        (0, 0o755),
        (0, 0o1777),
    ]
    assert (root / "opt/made").stat().st_uid == 2345


@pytest.mark.parametrize(
    ("said", "layered", "outside"),
    [
        (["~", "built"], ["~"], ["built"]),
        (["~/a", "~/ab"], ["~/a"], ["~/ab"]),
        (["~/a/b", "/opt"], ["~/a", "/opt"], []),
        (["~"], [], ["~"]),
    ],
)
def test_what_lies_below_need_not_be_unpacked(
    said: list[str], layered: list[str], outside: list[str]
) -> None:
    assert roots.outside(said, layered) == outside


def test_of_folders_in_each_other_the_outer_ones_count() -> None:
    assert roots.outermost(["~/a", "~", "~/b/c"]) == ["~"]
    assert roots.outermost(["~/a", "~/ab", "~/a/b"]) == ["~/a", "~/ab"]
