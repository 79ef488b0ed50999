"""What is packed and unpacked: all of it, and nothing that leads elsewhere."""

import io
import json
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from changes.agent.accounts import Account
from changes.agent.errors import BadOffer
from changes.agent.keeping import archives, roots, templates, unpacking
from changes.agent.keeping.archives import BadArchive
from changes.agent.keeping.roots import Root
from changes.agent.spool import StepFolder

OWN = Account("", os.geteuid(), os.getegid())
NOTE = b"\xff\x00=\n"
Made = Callable[[tarfile.TarFile], None]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def other(tmp_path: Path) -> Path:
    folder = tmp_path / "other"
    folder.mkdir()
    return folder


def pack(home: Path, *parts: str) -> Path:
    return archives.pack([Root("~", home, parts)], home.parent / "packed.tar.zst", OWN).path


def unpack(path: Path, into: Path, *parts: str, whiteouts: bool = False) -> unpacking.Unpacked:
    return unpacking.unpack(path, [Root("~", into, parts)], OWN, whiteouts=whiteouts)


def forged(home: Path, make: Made, said: object = ("~",)) -> Path:
    """An archive as no agent of ours makes it."""
    path = home.parent / "forged.tar.zst"
    with archives.zstd().open(path, "wb") as compressed, tarfile.open(fileobj=compressed, mode="w|") as tar:
        archives.add_bytes(tar, archives.MANIFEST, json.dumps(said).encode())
        make(tar)
    return path


def a_member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", content: bytes = b"") -> Made:
    def add(tar: tarfile.TarFile) -> None:
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.size, info.mode = kind, target, len(content), 0o6777
        tar.addfile(info, io.BytesIO(content))

    return add


def both(*made: Made) -> Made:
    def add(tar: tarfile.TarFile) -> None:
        for each in made:
            each(tar)

    return add


def test_files_folders_links_and_attributes_come_back(home: Path, other: Path) -> None:
    (home / "deep" / "er").mkdir(parents=True)
    (home / "deep" / "er" / "file").write_bytes(b"\x00content")
    (home / "script").write_text("#!/bin/sh\n")
    (home / "script").chmod(0o755)
    os.link(home / "script", home / "same")
    (home / "python").symlink_to("/usr/bin/python3")
    odd = os.fsdecode(b"caf\xe9 \n")
    (home / odd).write_text("odd")
    has_attributes = set_note(home / "script")

    unpack(pack(home), other)

    assert (other / "deep" / "er" / "file").read_bytes() == b"\x00content"
    assert (other / "script").stat().st_mode & 0o777 == 0o755
    assert (other / "same").samefile(other / "script")
    assert (other / "python").readlink() == Path("/usr/bin/python3")
    assert (other / odd).read_text() == "odd"
    assert not has_attributes or os.getxattr(other / "script", "user.note") == NOTE


def set_note(path: Path) -> bool:
    """Not every file system can."""
    try:
        os.setxattr(path, "user.note", NOTE)
    except OSError:
        return False
    return True


def test_gnu_tar_reads_it_too(home: Path, other: Path) -> None:
    (home / "file").write_text("content")

    subprocess.run(["tar", "--zstd", "-xf", pack(home), "-C", other], check=True, timeout=60)

    assert (other / "0" / "file").read_text() == "content"


def test_a_folder_nobody_may_write_into_is_filled_first(home: Path, other: Path) -> None:
    (home / "closed").mkdir()
    (home / "closed" / "file").write_text("content")
    (home / "closed").chmod(0o555)

    unpack(pack(home), other)

    assert (other / "closed" / "file").read_text() == "content"
    assert (other / "closed").stat().st_mode & 0o777 == 0o555
    for folder in (home, other):
        (folder / "closed").chmod(0o755)


def test_what_is_there_already_stays(home: Path, other: Path) -> None:
    (home / "both").write_text("kept")
    (home / "new").write_text("kept")
    (other / "both").write_text("of the checkout")

    unpack(pack(home), other)

    assert (other / "both").read_text() == "of the checkout"
    assert (other / "new").read_text() == "kept"


def test_links_are_packed_as_links_and_never_followed(home: Path, other: Path) -> None:
    (other / "private").write_text("secret")
    (home / "to-folder").symlink_to(other)
    (home / "to-file").symlink_to(other / "private")

    path = pack(home)

    with unpacking.reading(path) as tar:
        found = {each.name: each.type for each in tar}
    assert found["0/to-folder"] == found["0/to-file"] == tarfile.SYMTYPE
    assert not [name for name in found if name.endswith("private")]


def test_a_root_on_whose_way_lies_a_link_is_left_out(home: Path, other: Path) -> None:
    (other / "cache").mkdir()
    (other / "cache" / "private").write_text("secret")
    (home / "way").symlink_to(other)

    packed = archives.pack([Root("way/cache", home, ("way", "cache"))], home.parent / "p.tar.zst", OWN)

    assert packed.members == 0
    assert packed.left_out == ("way/cache: Not a directory",)


def test_nothing_is_written_through_a_link_that_the_checkout_brought(home: Path, other: Path) -> None:
    (home / "sub").mkdir()
    (home / "sub" / "file").write_text("kept")
    path = pack(home)
    target = home.parent / "target"
    target.mkdir()
    (other / "sub").symlink_to(target)

    with pytest.raises(BadArchive, match="is no folder here"):
        unpack(path, other)

    assert not list(target.iterdir())


@pytest.mark.parametrize(
    "name", ["0/../../escaped", "../escaped", "/etc/escaped", "0//escaped", "1/escaped", "0/./x", "escaped"]
)
def test_names_that_lead_elsewhere_are_refused(home: Path, other: Path, name: str) -> None:
    with pytest.raises(BadArchive, match="leads elsewhere"):
        unpack(forged(home, a_member(name, content=b"x")), other)

    assert not list(other.iterdir())


def test_a_link_of_the_archive_is_no_way_out_of_it(home: Path, other: Path) -> None:
    target = home.parent / "target"
    target.mkdir()
    way = both(a_member("0/way", tarfile.SYMTYPE, str(target)), a_member("0/way/file", content=b"x"))

    with pytest.raises(BadArchive, match="is no folder here"):
        unpack(forged(home, way), other)

    assert not list(target.iterdir())


def test_hard_links_lead_only_to_files_of_the_same_archive(home: Path, other: Path) -> None:
    (other / "of-the-step").write_text("here before")
    made = both(
        a_member("0/a", tarfile.LNKTYPE, "0/of-the-step"),
        a_member("0/b", tarfile.SYMTYPE, "/etc/passwd"),
        a_member("0/c", tarfile.LNKTYPE, "0/b"),
    )

    unpack(forged(home, made), other)

    assert sorted(each.name for each in other.iterdir()) == ["b", "of-the-step"]


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_and_pipes_are_refused(home: Path, other: Path, kind: bytes) -> None:
    with pytest.raises(BadArchive, match="neither file, folder nor link"):
        unpack(forged(home, a_member("0/device", kind)), other)


def test_of_devices_only_the_marks_of_what_was_removed_are_made(home: Path, other: Path) -> None:
    def a_disk(tar: tarfile.TarFile) -> None:
        info = tarfile.TarInfo("0/disk")
        info.type, info.devmajor, info.devminor = tarfile.CHRTYPE, 1, 3
        tar.addfile(info)

    unpack(forged(home, a_member("0/removed", tarfile.CHRTYPE)), other, whiteouts=True)
    with pytest.raises(BadArchive):
        unpack(forged(home, a_disk), other, whiteouts=True)

    assert (other / "removed").lstat().st_rdev == 0


def test_nothing_runs_as_somebody_else(home: Path, other: Path) -> None:
    unpack(forged(home, a_member("0/tool", content=b"x")), other)

    assert (other / "tool").stat().st_mode & 0o7777 == 0o777


def test_pipes_of_a_step_are_left_out_without_waiting_for_them(home: Path) -> None:
    os.mkfifo(home / "pipe")

    packed = archives.pack([Root("~", home, ())], home.parent / "p.tar.zst", OWN)

    assert packed.left_out == ("0/pipe: neither file, folder nor link",)


def test_roots_that_nobody_asked_for_stay_packed(home: Path, other: Path) -> None:
    (home / "file").write_text("x")

    done = unpacking.unpack(pack(home), [Root("elsewhere", other, ())], OWN)

    assert done.passed_over == ["~"]
    assert not list(other.iterdir())


@pytest.mark.parametrize("content", [b"", b"no archive at all", b"\x28\xb5\x2f\xfd\x00"])
def test_damage_is_told(home: Path, other: Path, content: bytes) -> None:
    path = home.parent / "damaged"
    path.write_bytes(content)

    with pytest.raises(BadArchive):
        unpack(path, other)


@pytest.mark.parametrize("said", [None, {"a": 1}, [1], "text"])
def test_an_archive_that_does_not_say_what_it_holds_is_refused(home: Path, other: Path, said: object) -> None:
    with pytest.raises(BadArchive, match="does not say"):
        unpack(forged(home, a_member("0/x"), said), other)


@pytest.mark.parametrize("path", ["../x", "~/../x", "a/../../x", "/opt/../etc", "/"])
def test_paths_that_lead_out_of_a_step_are_refused(tmp_path: Path, path: str) -> None:
    folder = StepFolder(tmp_path)

    look = roots.of_machine if path.startswith("/") else of_step(folder)

    with pytest.raises(BadOffer):
        look([path])


def of_step(folder: StepFolder) -> Callable[[list[str]], object]:
    return lambda paths: roots.of_step(paths, folder, folder.work / "source")


# --- keys ------------------------------------------------------------------------------------


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "work" / "source"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.lock").write_text("one")
    (folder / "sub" / "b.lock").write_text("two")
    return folder


def key_of(template: str, source: Path) -> str:
    return templates.key_of(template, source, source.parent, {"CHANGES_BRANCH": "main"})


def test_a_key_follows_its_files(source: Path) -> None:
    before = key_of("deps-{{ hashFiles('**/*.lock') }}", source)

    (source / "sub" / "b.lock").write_text("three")

    assert before != key_of("deps-{{ hashFiles('**/*.lock') }}", source)
    assert before.startswith("deps-")


def test_a_key_depends_on_nothing_else(source: Path) -> None:
    before = key_of("{{ hashFiles('a.lock', \"no-such\") }}", source)
    (source / "sub" / "b.lock").write_text("three")
    os.utime(source / "a.lock", (1, 1))

    assert before == key_of("${{ hashFiles('a.lock') }}", source)


def test_a_key_knows_the_branch_and_the_machine(source: Path) -> None:
    assert key_of("{{ branch }}-x", source) == "main-x"
    assert key_of("{{ os }}-{{ arch }}", source).startswith("linux-")


def test_a_link_is_no_file_of_the_checkout(source: Path, tmp_path: Path) -> None:
    (source / "c.lock").symlink_to("/etc/passwd")

    assert key_of("{{ hashFiles('c.lock') }}x", source) == "x"


@pytest.mark.parametrize(
    "template", ["{{ secrets.KEY }}", "{{ hashFiles(x) }}", "", "{{ hashFiles('none') }}", "a\nb"]
)
def test_what_is_no_key_is_told(source: Path, template: str) -> None:
    with pytest.raises(BadOffer):
        key_of(template, source)
