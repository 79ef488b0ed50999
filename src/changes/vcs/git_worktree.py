"""A work tree for one step, made with a single git process.

It has a repository of its own that borrows the objects of the mirror, so it costs no copy and what
the step writes stays with the step.
"""

import re
import shutil
from contextlib import suppress
from pathlib import Path

from changes.vcs import git_extras
from changes.vcs.complaints import words
from changes.vcs.errors import BadName, PatchDoesNotApply, VcsError
from changes.vcs.git_command import Git, quoted
from changes.vcs.interface import Mirror, Wanted

PATCHER = {
    "GIT_AUTHOR_NAME": "Patch applier",
    "GIT_AUTHOR_EMAIL": "patch@changes.invalid",
    "GIT_COMMITTER_NAME": "Patch applier",
    "GIT_COMMITTER_EMAIL": "patch@changes.invalid",
}
PATCH_MESSAGE = "Diff build"
SHA256_HEX_CHARS = 64


def refs_path(mirror_path: Path) -> Path:
    """The `packed-refs` of work trees, kept ready in the mirror; it is there once the mirror is filled."""
    return mirror_path / "changes-worktree-refs"


def write_refs(mirror_path: Path, refs: dict[str, str]) -> None:
    """Branches become those of `origin`, as in a clone; tags stay, for `git describe`."""
    renamed = {name.replace("refs/heads/", "refs/remotes/origin/", 1): sha for name, sha in refs.items()}
    target = refs_path(mirror_path)
    draft = target.with_suffix(".new")
    draft.write_text("".join(f"{sha} {name}\n" for name, sha in sorted(renamed.items())))
    draft.replace(target)


def checkout(git: Git, mirror: Mirror, sha: str, into: Path, wanted: Wanted) -> None:
    into.mkdir(parents=True, exist_ok=True)
    if any(into.iterdir()):
        raise BadName(f"{into} is not empty")
    try:
        _write_repository(into / ".git", mirror, sha, wanted)
        git.read(*_here(into), "read-tree", "--reset", "-u", sha)
        git_extras.bring(git, mirror, into, wanted)
    except VcsError:
        # So that the caller can get the commit and try again.
        shutil.rmtree(into)
        raise


def _here(into: Path) -> tuple[str, ...]:
    return (f"--git-dir={into / '.git'}", f"--work-tree={into}")


def _write_repository(repository: Path, mirror: Mirror, sha: str, wanted: Wanted) -> None:
    (repository / "objects" / "info").mkdir(parents=True)
    (repository / "refs").mkdir()
    # Not in quotes, which git would allow and git-lfs would not; the path begins with a slash anyway.
    (repository / "objects" / "info" / "alternates").write_text(f"{mirror.path / 'objects'}\n")
    (repository / "HEAD").write_text(f"{sha}\n")
    (repository / "config").write_text(_config(mirror.url, sha, is_sparse=bool(wanted.paths)))
    if wanted.paths:
        (repository / "info").mkdir()
        (repository / "info" / "sparse-checkout").write_text(sparse_patterns(wanted.paths))
    # Missing in a mirror that only has single commits so far, and in one with all of the history.
    for source, target in ((refs_path(mirror.path), "packed-refs"), (mirror.path / "shallow", "shallow")):
        with suppress(FileNotFoundError):
            shutil.copyfile(source, repository / target)


def sparse_patterns(paths: tuple[str, ...]) -> str:
    """Each path alone, from the root; no sign in it is a pattern."""
    return "".join("/" + re.sub(r"([\\*?\[!# ])", r"\\\1", path) + "\n" for path in paths)


def _config(url: str, sha: str, *, is_sparse: bool) -> str:
    # The user's name for ssh is no secret; a password never came this far.
    return (
        f"[core]\n\trepositoryformatversion = 1\n\tbare = false\n"
        f"\tsparseCheckout = {str(is_sparse).lower()}\n"
        f"[extensions]\n\tobjectFormat = {object_format(sha)}\n"
        f'[remote "origin"]\n\turl = {quoted(url)}\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n'
    )


def object_format(sha: str) -> str:
    return "sha256" if len(sha) == SHA256_HEX_CHARS else "sha1"


def apply_patch(git: Git, into: Path, diff: bytes) -> None:
    here = _here(into)
    applied = git.call(
        "-C", str(into), *here, "apply", "--index", "--binary", "--whitespace=nowarn", "-", stdin=diff
    )
    if applied.exit_code:
        raise PatchDoesNotApply(words(applied, git.secrets))
    message = f"--message={PATCH_MESSAGE}"
    git.check(git.call(*here, "commit", "--quiet", "--no-verify", "--no-gpg-sign", message, more=PATCHER))
