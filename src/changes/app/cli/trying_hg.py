"""The working tree of Mercurial as it stands, without touching it: a share of it is made elsewhere, and
what differs is copied there.
"""

import shutil
import tempfile
from pathlib import Path

from changes.app.cli.output import REFUSED, fail
from changes.app.cli.trying_tools import Snapped, ask, line, run

PUBLIC_BELOW = "last(ancestors(.) and public())"
PLAIN = {"HGPLAIN": "1"}
SHARING = ("--config", "extensions.share=", "--config", "format.exp-share-safe=no")


def snapped(top: Path, url: str) -> Snapped:
    base = base_of(top, url)
    with tempfile.TemporaryDirectory(prefix="changes-try-") as folder:
        patch = difference(top, Path(folder) / "tree", base)
    subject = line(ask(top, "hg", "log", "-r", ".", "-T", "{desc|firstline}", env=PLAIN))
    return Snapped(base, patch, subject)


def base_of(top: Path, url: str) -> str:
    """What was pushed or pulled is public."""
    path = url.removeprefix("file://")
    is_here = path.startswith("/") and Path(path).resolve() == top.resolve()
    wanted = "." if is_here else PUBLIC_BELOW
    found = line(run(top, "hg", "log", "-r", wanted, "-T", "{node}", env=PLAIN).stdout)
    if not found or not found.strip("0"):
        fail("No commit below this one was pushed or pulled, so the server knows none.", REFUSED)
    return found


def difference(top: Path, tree: Path, base: str) -> bytes:
    ask(top, "hg", *SHARING, "share", "--noupdate", str(top), str(tree), env=PLAIN)
    ask(tree, "hg", "update", "--clean", "-r", base, env=PLAIN)
    for status, name in changes(top, base):
        carry(top / name, tree / name, is_there=status in "MA?")
    ask(tree, "hg", "addremove", "--similarity", "100", env=PLAIN)
    return ask(tree, "hg", "diff", "--git", env=PLAIN)


def changes(top: Path, base: str) -> list[tuple[str, str]]:
    """Modified, added, removed, missing and unknown files; ignored ones are left out."""
    told = ask(top, "hg", "status", "--rev", base, "--print0", "-mardu", env=PLAIN)
    lines = [each.decode("utf-8", "surrogateescape") for each in told.split(b"\0") if each]
    return [(each[0], each[2:]) for each in lines]


def carry(here: Path, there: Path, *, is_there: bool) -> None:
    there.unlink(missing_ok=True)
    if is_there:
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(here, there, follow_symlinks=False)
