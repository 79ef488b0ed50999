"""A work tree for one step, made with a single git process.

It has a repository of its own that borrows the objects of the mirror, so it costs no copy and what
the step writes stays with the step.
"""

import shutil
from contextlib import suppress
from pathlib import Path

from changes.vcs.complaints import words
from changes.vcs.errors import PatchDoesNotApply, VcsError
from changes.vcs.git_command import Git
from changes.vcs.interface import Mirror

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


def checkout(git: Git, mirror: Mirror, sha: str, into: Path) -> None:
    into.mkdir(parents=True, exist_ok=True)
    if any(into.iterdir()):
        raise VcsError(f"{into} is not empty")
    repository = into / ".git"
    try:
        _write_repository(repository, mirror, sha)
        git.read(f"--git-dir={repository}", f"--work-tree={into}", "read-tree", "--reset", "-u", sha)
    except VcsError:
        # So that the caller can get the commit and try again.
        shutil.rmtree(into)
        raise


def _write_repository(repository: Path, mirror: Mirror, sha: str) -> None:
    (repository / "objects" / "info").mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "objects" / "info" / "alternates").write_text(f"{_quoted(str(mirror.path / 'objects'))}\n")
    (repository / "HEAD").write_text(f"{sha}\n")
    (repository / "config").write_text(_config(mirror.url, sha))
    # Missing in a mirror that only has single commits so far.
    with suppress(FileNotFoundError):
        shutil.copyfile(refs_path(mirror.path), repository / "packed-refs")


def _config(url: str, sha: str) -> str:
    # The user's name for ssh is no secret; a password never came this far.
    return (
        f"[core]\n\trepositoryformatversion = 1\n\tbare = false\n"
        f"[extensions]\n\tobjectFormat = {object_format(sha)}\n"
        f'[remote "origin"]\n\turl = {_quoted(url)}\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n'
    )


def object_format(sha: str) -> str:
    return "sha256" if len(sha) == SHA256_HEX_CHARS else "sha1"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def apply_patch(git: Git, into: Path, diff: bytes) -> None:
    here = (f"--git-dir={into / '.git'}", f"--work-tree={into}")
    applied = git.call(
        "-C", str(into), *here, "apply", "--index", "--binary", "--whitespace=nowarn", "-", stdin=diff
    )
    if applied.exit_code:
        raise PatchDoesNotApply(words(applied, git.secrets))
    committer = Git(git.environment | PATCHER, git.secrets)
    committer.read(*here, "commit", "--quiet", "--no-verify", "--no-gpg-sign", f"--message={PATCH_MESSAGE}")
