"""Archives are looked into without being unpacked, and whatever they say of themselves has limits."""

import gzip
import io
import lzma
import sys
import tarfile
import zipfile
from collections.abc import Callable

import pytest
from tests.results import huge_zip

from changes.base.errors import ChangesError, Invalid, NotFound, TooLarge
from changes.results import archive_streams, archives
from changes.results.contents import Content, Span

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

FILES = {"docs/": b"", "docs/read.md": b"# Hello", "bin/run": b"\0\1" * 5000}
WRITERS: dict[str, Callable[[bytes], bytes]] = {
    "a.tar": bytes,
    "a.tar.gz": gzip.compress,
    "a.tar.xz": lzma.compress,
    "a.tar.zst": zstd.compress,
}


def content_of(name: str, data: bytes) -> Content:
    def read(span: Span | None) -> object:
        begin, end = span or (0, len(data))
        return iter([data[begin:end][at : at + 1000] for at in range(0, end - begin, 1000)])

    return Content(name, len(data), "", read)  # type: ignore[arg-type]


def tarred(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    kept = io.BytesIO()
    with tarfile.open(fileobj=kept, mode="w") as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return kept.getvalue()


def a_tar() -> bytes:
    members = []
    for name, data in FILES.items():
        info = tarfile.TarInfo(name.rstrip("/"))
        info.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
        members.append((info, data))
    return tarred(*members)


def a_zip(files: dict[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w", how) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return kept.getvalue()


def packed(name: str) -> Content:
    return content_of(name, a_zip(FILES) if name.endswith("zip") else WRITERS[name](a_tar()))


@pytest.mark.parametrize("name", ["a.zip", *WRITERS])
def test_the_files_are_listed_and_read_one_by_one(name: str) -> None:
    found = archives.listing(packed(name))

    assert [each.name.rstrip("/") for each in found.entries] == ["docs", "docs/read.md", "bin/run"]
    assert [each.is_folder for each in found.entries] == [True, False, False]
    assert [each.size_bytes for each in found.entries] == [0, 7, 10000]
    assert b"".join(archives.member(packed(name), 2).chunks) == FILES["bin/run"]


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "C:\\x", "a\nb", "\u202eexe.txt"])
def test_a_name_is_only_text(name: str) -> None:
    in_tar = archives.listing(content_of("a.tar", tarred((tarfile.TarInfo(name), b"x"))))
    in_zip = archives.listing(content_of("a.zip", a_zip({name: b"x"})))

    assert in_tar.entries[0].name == name.strip("/") or in_tar.entries[0].name == name
    assert len(in_zip.entries) == 1


def test_a_link_is_told_and_not_followed() -> None:
    link = tarfile.TarInfo("passwords")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    archive = content_of("a.tar", tarred((link, b"")))

    (entry,) = archives.listing(archive).entries

    assert "'/etc/passwd', which is not followed" in entry.why_not
    with pytest.raises(Invalid, match="not followed"):
        archives.member(archive, 0)


def test_a_link_in_a_zip_is_told_as_well() -> None:
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w") as archive:
        info = zipfile.ZipInfo("passwords")
        info.create_system, info.external_attr = 3, 0o120777 << 16
        archive.writestr(info, "/etc/passwd")

    (entry,) = archives.listing(content_of("a.zip", kept.getvalue())).entries

    assert entry.why_not == "a link, which is not followed"


def test_what_is_encrypted_is_told() -> None:
    data = bytearray(a_zip({"secret": b"x" * 100}))
    for mark, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(mark) + at] |= 1

    (entry,) = archives.listing(content_of("a.zip", bytes(data))).entries

    assert entry.why_not == "encrypted"


def test_a_bomb_is_told_before_it_goes_off() -> None:
    bomb = content_of("a.zip", a_zip({"zeros": bytes(20 * 2**20)}))

    (entry,) = archives.listing(bomb).entries

    assert entry.why_not == "it would become suspiciously large"
    with pytest.raises(Invalid):
        archives.member(bomb, 0)


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tar.xz", "a.tar.zst"])
def test_unpacking_stops_at_a_limit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "UNPACKED_MAX_BYTES", 2**20)
    data = tarred((tarfile.TarInfo("zeros"), bytes(4 * 2**20)), (tarfile.TarInfo("last"), b"x"))

    with pytest.raises(TooLarge, match="too large when it is unpacked"):
        archives.listing(content_of(name, WRITERS[name](data)))


def test_of_very_many_files_the_first_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "ENTRIES_MAX", 3)
    names = {f"file{number}": b"" for number in range(10)}

    in_zip = archives.listing(content_of("a.zip", a_zip(names)))
    in_tar = archives.listing(content_of("a.tar", tarred(*((tarfile.TarInfo(name), b"") for name in names))))

    assert (len(in_zip.entries), in_zip.count) == (3, 10)
    assert (len(in_tar.entries), in_tar.count) == (3, None)


def test_a_list_that_is_too_long_is_not_taken_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "LIST_MAX_BYTES", 1024 * 66)
    data = a_zip({f"{number:060}": b"" for number in range(2000)}, zipfile.ZIP_STORED)

    with pytest.raises(TooLarge, match="too long to be shown"):
        archives.listing(content_of("a.zip", data))


def test_of_a_million_files_it_is_told_that_they_are_too_many() -> None:
    few, many = (content_of("a.zip", huge_zip.listing(count)) for count in (70_000, 1_000_000))

    assert len(archives.listing(few).entries) == archives.ENTRIES_MAX
    with pytest.raises(TooLarge, match="too long to be shown"):
        archives.listing(many)


def test_a_head_that_says_it_is_a_gigabyte_stays_unread() -> None:
    pax = tarfile.TarInfo("pax")
    pax.type, pax.size = tarfile.XHDTYPE, 2**30
    data = pax.tobuf(tarfile.USTAR_FORMAT) + bytes(1024)

    with pytest.raises(TooLarge):
        archives.listing(content_of("a.tar", data))


def test_more_memory_than_is_sensible_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_streams, "LZMA_MEMORY_MAX_BYTES", 2**20)

    with pytest.raises(Invalid, match="cannot be unpacked"):
        archives.listing(content_of("a.tar.xz", lzma.compress(a_tar(), preset=9)))


@pytest.mark.parametrize("name", ["a.zip", *WRITERS])
@pytest.mark.parametrize("data", [b"nonsense" * 100, b"PK\5\6" + bytes(18), b"\x1f\x8b\x08\0", bytes(700)])
def test_nonsense_is_told_in_words(name: str, data: bytes) -> None:
    assert names_or_words(content_of(name, data)) == [] or isinstance(
        names_or_words(content_of(name, data)), str
    )


def names_or_words(content: Content) -> list[str] | str:
    try:
        return [each.name for each in archives.listing(content).entries]
    except ChangesError as error:
        return error.message


@pytest.mark.parametrize("name", ["a.zip", *WRITERS])
def test_an_archive_that_breaks_off_is_told_in_words(name: str) -> None:
    whole = packed(name)
    data = b"".join(whole.read())

    for cut in range(1, len(data), max(1, len(data) // 20)):
        told = names_or_words(content_of(name, data[:cut]))
        assert isinstance(told, str) or set(told) <= {"docs", "docs/", "docs/read.md", "bin/run"}


def test_what_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound):
        archives.member(packed("a.zip"), 99)


def test_a_file_that_is_no_archive_is_refused() -> None:
    with pytest.raises(Invalid):
        archives.listing(content_of("a.txt", b"text"))
