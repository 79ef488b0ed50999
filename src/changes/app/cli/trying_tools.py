"""Asks git and hg about a working tree, and says in words what they could not do."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from changes.app.cli.output import REFUSED, fail

WORDS_MAX = 500


@dataclass(frozen=True)
class Snapped:
    """A working tree as it stands: a commit that others can get, and what is different here."""

    base: str
    patch: bytes
    subject: str
    # Names of files that make the patch large, largest first.
    largest: Sequence[str] = ()


def ask(folder: Path, *command: str, env: Mapping[str, str] | None = None) -> bytes:
    """What it printed; where it fails, its own words."""
    answer = run(folder, *command, env=env)
    if answer.returncode != 0:
        said = answer.stderr.decode("utf-8", "replace").strip()[-WORDS_MAX:]
        fail(f"{command[0]} could not read the working tree: {said or 'it said nothing'}", REFUSED)
    return answer.stdout


def run(
    folder: Path, *command: str, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        fail(f"{command[0]} is not installed here.", REFUSED)


def line(answer: bytes) -> str:
    return answer.decode("utf-8", "surrogateescape").strip()


def top_of(folder: Path) -> tuple[str, Path]:
    """Which tool it is under, and where it begins."""
    for parent in (folder, *folder.parents):
        for tool in ("git", "hg"):
            if (parent / f".{tool}").exists():
                return tool, parent
    return fail(f"{folder} is in no working tree of git or hg.", REFUSED)
