"""Whoever packs logs is killed at any moment, again and again, and no byte is lost."""

import random
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from tests.factories import a_build, steps_of
from tests.finished import end_step
from tests.results.log_texts import BLOB, PLAIN, add, an_empty_log

from changes.base import storage
from changes.base.db import Database
from changes.base.settings import Settings
from changes.builds.rules import Result
from changes.results import log_packing, log_reading, orphans
from changes.results.models import LogChunk, LogSource

pytestmark = pytest.mark.long
ROUNDS = 12
PACKER = """
import sys
from changes.base import db, storage
from changes.results import log_packing
db.database.set(db.Database(sys.argv[1]))
storage.storage.set(storage.Storage(sys.argv[2]))
print("ready", flush=True)
log_packing.pack_all()
"""


def test_logs_survive_whoever_is_killed_while_he_packs_them(database: Database, settings: Settings) -> None:
    chance = random.Random(7)  # noqa: S311 - places to stop at, guards nothing
    texts = [
        b"".join(b"%d line %d\n" % (each, at) for at in range(40_000 * (each % 4 + 1))) for each in range(12)
    ]
    sources = [a_finished_log(database, text) for text in texts]

    for _ in range(ROUNDS):
        kill_while_packing(database, settings, chance.uniform(0, 0.3))
        assert [read(database, source) for source in sources] == texts

    log_packing.pack_all()
    orphans.sweep(storage.storage.get(), older_than=timedelta(0))
    assert [read(database, source) for source in sources] == texts
    with database.transaction() as session:
        rows = session.query(LogChunk).all()
        assert len(rows) == len(texts)
        assert sorted(key for key, _, _ in storage.storage.get().keys("logs")) == sorted(
            row.key for row in rows if row.key
        )


def a_finished_log(database: Database, text: bytes) -> LogSource:
    with database.transaction() as session:
        step = steps_of(session, a_build(session))[0]
        source = an_empty_log(session, step)
        third = len(text) // 3
        for at, form in ((0, PLAIN), (third, BLOB), (2 * third, PLAIN)):
            add(session, source, text[at : at + third if at < 2 * third else None], form)
        end_step(session, step, Result.PASSED)
        return source


def kill_while_packing(database: Database, settings: Settings, after_s: float) -> None:
    command = [sys.executable, "-c", PACKER, database.url, settings.blob_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(after_s)
        process.kill()


def read(database: Database, source: LogSource) -> bytes:
    with database.transaction() as session:
        mine = session.get_one(LogSource, source.id)
        return b"".join(log_reading.bytes_between(session, mine, 0, 2**40))
