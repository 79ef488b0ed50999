"""A work tree for one step: a byte copy of the mirror's store, then one hg process.

Mercurial would link the files of the store instead. A link lets a step that cannot write the mirror's
folder still write the mirror's content.
"""

import shutil
from pathlib import Path

from changes.vcs.complaints import words
from changes.vcs.errors import BadName, PatchDoesNotApply, VcsError
from changes.vcs.hg_command import Hg

NOT_COPIED = shutil.ignore_patterns("hgrc", "wlock", "lock", "undo*", "dirstate*", "wcache")


def checkout(hg: Hg, mirror_path: Path, sha: str, into: Path) -> None:
    into.mkdir(parents=True, exist_ok=True)
    if any(into.iterdir()):
        raise BadName(f"{into} is not empty")
    try:
        shutil.copytree(mirror_path / ".hg", into / ".hg", ignore=NOT_COPIED, symlinks=True)
        # An ssh user is no secret; a password never came this far.
        (into / ".hg" / "hgrc").write_text(f"[paths]\ndefault = {hg.url}\n")
        hg.read(f"--repository={into}", "update", "--quiet", "--clean", f"--rev={sha}")
    except VcsError:
        # So that the caller can get the commit and try again.
        shutil.rmtree(into)
        raise


def apply_patch(hg: Hg, into: Path, diff: bytes) -> None:
    finished = hg.call(f"--repository={into}", "import", "--quiet", "--no-commit", "-", stdin=diff)
    if finished.exit_code:
        raise PatchDoesNotApply(words(finished, hg.credentials.secrets))
