"""Submodules and the content of LFS for a work tree, where its plan asks for them."""

import shutil
from pathlib import Path

from changes.vcs import names
from changes.vcs.errors import ToolMissing
from changes.vcs.git_command import Git
from changes.vcs.interface import UPDATE_TIMEOUT_S, Mirror, Wanted
from changes.vcs.run import Limits

LIMITS = Limits(UPDATE_TIMEOUT_S)
# A repository from elsewhere must not have files of this machine cloned into its tree.
REMOTE_ONLY = {"GIT_ALLOW_PROTOCOL": ":".join(sorted(names.SCHEMES - {"file"}))}

# As `git lfs install` writes it; without it the tree would seem changed to git.
FILTER = """[filter "lfs"]
\tclean = git-lfs clean -- %f
\tsmudge = git-lfs smudge -- %f
\tprocess = git-lfs filter-process
\trequired = true
"""


def bring(git: Git, mirror: Mirror, into: Path, wanted: Wanted) -> None:
    if wanted.submodules:
        _bring_submodules(git, mirror, into)
    if wanted.lfs:
        _bring_lfs(git, mirror, into)


def _bring_submodules(git: Git, mirror: Mirror, into: Path) -> None:
    update = ("submodule", "--quiet", "update", "--init", "--recursive")
    git.talk("-C", str(into), *update, limits=LIMITS, more={} if _is_local(mirror) else REMOTE_ONLY)


def _bring_lfs(git: Git, mirror: Mirror, into: Path) -> None:
    if shutil.which("git-lfs") is None:
        raise ToolMissing("git-lfs is not installed on this agent")
    # Only now, or git would have brought each file by itself, one after the other.
    with (into / ".git" / "config").open("a") as config:
        config.write(FILTER)
    # What was fetched once is kept beside the mirror, and goes with it. Where the remote is a folder,
    # git-lfs would take this for its store too.
    storage = () if _is_local(mirror) else ("-c", f"lfs.storage={mirror.path / 'lfs'}")
    git.talk("-C", str(into), *storage, "lfs", "pull", "origin", limits=LIMITS)


def _is_local(mirror: Mirror) -> bool:
    return mirror.url.startswith(("/", "file:"))
