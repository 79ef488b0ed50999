"""Looks at this machine: settings, disk, permissions, tools, the broker and the blobs."""

import os
import shutil
import stat
from pathlib import Path

from sqlalchemy import Connection

from changes.app.doctor import looking
from changes.app.doctor.findings import Finding, broken, ok, warning
from changes.app.doorbell import BrokerAway
from changes.base import ids, room
from changes.base.errors import NotFound
from changes.base.settings import Settings
from changes.base.storage import Storage, StorageError
from changes.results import disk

FREE_MIN_BYTES = 200 * 1024**2
FREE_LOW_BYTES = 2 * 1024**3
SECRETS = ("secret_key", "cli.json", "changes.toml")
SAMPLE = 100
HG_BACKEND = 2
NAMES_SHOWN = 5

# Of the others as many as lie in some pages of the table, wherever those are.
NEWEST_ARTIFACTS = (
    "select name, key, size_bytes from artifact where date_removed is null order by id desc limit :sample"
)
# Their keys begin with ids, which begin with the time.
NEWEST_LOGS = (
    "select 'log ' || source_id as name, key, stored_bytes from log_chunk"
    " where key is not null order by key desc limit :sample"
)
SOME_ARTIFACTS = (
    "select name, key, size_bytes from artifact tablesample system (1)"
    " where date_removed is null limit :sample"
)


def check_settings(settings: Settings, warnings: tuple[str, ...]) -> Finding:
    if warnings:
        return warning("settings", f"{len(warnings)} lines mean nothing: {warnings[0]}", "Remove them.")
    is_local = any(name in settings.base_url for name in ("//127.", "//localhost", "//[::1]"))
    if is_local and settings.host in ("0.0.0.0", "::"):  # noqa: S104 - compared with, not listened on
        text = f"Everybody may connect, but links lead to {settings.base_url}"
        return warning("settings", text, "Set BASE_URL to the address that people use.")
    return ok("settings", "The settings can be read")


def check_broker(settings: Settings) -> Finding:
    from changes.app import broker

    if settings.broker_url is None:
        return broken("broker", "No broker is set", "Set BROKER_URL, or start `changes up`.")
    line = broker.Line(broker.make_celery(settings))
    try:
        waiting = line.count_waiting()
    except BrokerAway as error:
        text = f"The broker does not answer: {str(error).splitlines()[0]}"
        return broken("broker", text, "Start it, or mend BROKER_URL. Nothing is lost meanwhile, only late.")
    return ok("broker", f"The broker answers ({waiting} messages wait)")


def check_blobs(storage: Storage) -> Finding:
    """Writes, reads and removes a few bytes of its own."""
    key, data = f"doctor/{ids.new().hex}", b"a few bytes"
    try:
        storage.put(key, data)
        found = b"".join(storage.read(key))
        storage.delete(key)
    except (OSError, NotFound, StorageError) as error:
        text = f"The store of files cannot be used: {str(error).splitlines()[0]}"
        return broken("blobs", text, "Look at BLOB_URL, its disk and its permissions.")
    if found != data:
        return broken("blobs", "The store of files gave back other bytes than it was given")
    return ok("blobs", "The store of files takes bytes and gives them back")


def check_artifacts(connection: Connection, storage: Storage) -> Finding:
    rows = {
        row.key: row
        for ask in (NEWEST_ARTIFACTS, SOME_ARTIFACTS)
        for row in looking.rows(connection, ask, {"sample": SAMPLE})
    }
    missing = [row.name for key, row in rows.items() if storage.size_of(key) != row.size_bytes]
    if missing:
        text = f"{len(missing)} of {len(rows)} artifacts that were looked at are gone or cut off"
        shown = ", ".join(missing[:NAMES_SHOWN])
        return broken("artifacts", f"{text}: {shown}", "Restore the files from the backup of the same time.")
    return ok("artifacts", f"The bytes of artifacts are there ({len(rows)} looked at)")


def check_logs(connection: Connection, storage: Storage) -> Finding:
    found = looking.rows(connection, NEWEST_LOGS, {"sample": SAMPLE})
    missing = [row.name for row in found if storage.size_of(row.key) != row.stored_bytes]
    if missing:
        text = f"{len(missing)} of {len(found)} packed logs that were looked at are gone or cut off"
        shown = ", ".join(missing[:NAMES_SHOWN])
        return broken(
            "packed-logs", f"{text}: {shown}", "Restore the files from the backup of the same time."
        )
    return ok("packed-logs", f"The bytes of packed logs are there ({len(found)} looked at)")


def check_disk(settings: Settings, storage: Storage) -> Finding:
    places = disk.places(settings, storage)
    least = min(places, key=lambda place: place.free_bytes - place.free_min_bytes)
    free_bytes = least.free_bytes
    text = f"{room.in_words(free_bytes)} are free on the disk of {least.folder}"
    advice = "Look at /admin/disk/, keep less, or move the home to a larger disk."
    if free_bytes < least.free_min_bytes:
        limit = room.in_words(least.free_min_bytes)
        return broken("disk", f"{text}, and below {limit} no step is handed out", advice)
    if free_bytes < FREE_MIN_BYTES:
        return broken("disk", text, advice)
    return warning("disk", text, advice) if free_bytes < FREE_LOW_BYTES else ok("disk", text)


def check_home(home: Path) -> Finding:
    """What is secret there is for its owner alone, and nobody else may put something in its place."""
    if not home.exists():
        return ok("home", f"{home} is not used on this machine")
    wrong = [f"{home} can be changed by others"] if mode_of(home) & (stat.S_IWGRP | stat.S_IWOTH) else []
    for name in SECRETS:
        path = home / name
        if path.exists() and mode_of(path) & (stat.S_IRWXG | stat.S_IRWXO):
            wrong.append(f"{path} is open to others")
    if wrong:
        return broken(
            "home", "; ".join(wrong), "Run `chmod go-w` on the folder and `chmod 600` on the files."
        )
    if not os.access(home, os.W_OK | os.X_OK):
        return warning(
            "home", f"{home} cannot be written by this account", "Run it as the account of the server."
        )
    return ok("home", f"{home} belongs to its owner alone")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def check_tools(connection: Connection) -> Finding:
    backends = looking.names(connection, "select distinct backend from repository")
    needed = ["git", *(["hg"] if str(HG_BACKEND) in backends else [])]
    missing = [name for name in needed if shutil.which(name) is None]
    if missing:
        advice = "Install it on every machine of web servers and agents."
        return broken("tools", f"There is no {' and no '.join(missing)} here", advice)
    return ok("tools", f"{' and '.join(needed)} can be run")
