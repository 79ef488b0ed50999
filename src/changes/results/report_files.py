"""Files that stand inside a report, as the original's `<test-artifacts>`: they become files of the step.

Their bytes are stored while the report is read, one after the other, so that a report of a gigabyte is never
in memory; their rows come with those of its tests. What nobody names after a crash is swept (orphans.py).
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from changes.base import clock, ids
from changes.base.storage import Storage
from changes.builds.models import JobStep
from changes.results import stored_files, test_files
from changes.results.formats.excerpt import clip_name
from changes.results.formats.seen import FileSeen, TestSeen

FILES_MAX = 1000
BYTES_MAX = 256 * 1024 * 1024
NAME_CHARS = 200
# What tells their kind to whoever looks at them, where their name does not.
ENDINGS: Mapping[str, Sequence[str]] = {
    "image": (".png", ".jpg", ".jpeg", ".gif", ".webp"),
    "html": (".html", ".htm"),
    "text": (".txt", ".log"),
}
INSERT = """
insert into artifact (id, step_id, job_id, name, size_bytes, sha256, key, date_created)
select file.id, :step_id, :job_id, file.name, file.size_bytes, file.sha256, file.key, :now
from unnest(
    cast(:ids as uuid[]), cast(:names as text[]), cast(:sizes as bigint[]), cast(:digests as text[]),
    cast(:keys as text[])
) as file (id, name, size_bytes, sha256, key)
on conflict (step_id, name) do nothing
"""


@dataclass(frozen=True)
class KeptFile:
    """Its bytes lie in the store; nothing names them yet."""

    name: str
    sha256: str
    key: str
    size_bytes: int


class ReportFiles:
    """Of all reports of one step."""

    def __init__(self, storage: Storage, step_id: UUID) -> None:
        self.storage = storage
        self.step_id = step_id
        self.kept: dict[str, KeptFile] = {}
        self.left_bytes = BYTES_MAX

    def take(self, test: TestSeen) -> tuple[TestSeen, str]:
        """The test without its files, and what was wrong with one of them."""
        wrong = ""
        for file in test.files:
            try:
                data = base64.b64decode("".join(file.base64.split()), validate=True)
            except (binascii.Error, ValueError):
                wrong = wrong or f"the file {file.name!r} of the test {test.name!r} is not base64"
                continue
            if len(self.kept) < FILES_MAX and len(data) <= self.left_bytes:
                self.left_bytes -= len(data)
                self.keep(f"{test_files.folder_of(test.name)}/{name_of(file)}", data)
        return test._replace(files=()), wrong

    def keep(self, wanted: str, data: bytes) -> None:
        name = free_name(wanted, self.kept)
        key = f"artifacts/{self.step_id.hex}/{ids.new().hex}"
        self.storage.put(key, data)
        self.kept[name] = KeptFile(name, hashlib.sha256(data).hexdigest(), key, len(data))


def name_of(file: FileSeen) -> str:
    """No path: where a file lies is for us to say. Its ending tells the kind, if the report does not lie."""
    base = PurePosixPath(file.name.replace("\\", "/")).name
    name = clip_name("".join(each for each in base if each.isprintable()).strip(" ."), NAME_CHARS) or "file"
    endings = ENDINGS.get(file.kind, ())
    is_told = not endings or PurePosixPath(name).suffix.lower() in endings
    return name if is_told else f"{name}{endings[0]}"


def free_name(wanted: str, taken: Iterable[str]) -> str:
    path, number, name = PurePosixPath(wanted), 2, wanted
    while name in taken:
        name = str(path.with_name(f"{path.stem}-{number}{path.suffix}"))
        number += 1
    return name


def store(session: Session, step: JobStep, files: Sequence[KeptFile]) -> list[str]:
    """Keys that are not needed, since the same bytes were stored before; to be removed afterwards.

    A step that is read once more has its files by then, and keeps those.
    """
    if not files:
        return []
    now = clock.now()
    sent = {file.sha256: (file.key, file.size_bytes) for file in files}
    keys = stored_files.name_at_once(session, sent, now)
    values = {
        "ids": [ids.new() for _ in files],
        "names": [file.name for file in files],
        "sizes": [file.size_bytes for file in files],
        "digests": [file.sha256 for file in files],
        "keys": [keys[file.sha256] for file in files],
    }
    session.execute(text(INSERT), {**values, "step_id": step.id, "job_id": step.job_id, "now": now})
    used = set(keys.values())
    return [file.key for file in files if file.key not in used]
