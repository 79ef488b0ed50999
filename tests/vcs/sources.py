"""Real repositories to mirror, and the tools to look at them independently of the product."""

import os
import re
import subprocess
from pathlib import Path
from typing import Self

PERSON = "Zoë Müller <zoe@example.com>"
MOMENT = 1_700_000_000

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "LC_ALL": "C.UTF-8",
    "HOME": "/nonexistent",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Zoë Müller",
    "GIT_AUTHOR_EMAIL": "zoe@example.com",
    "GIT_AUTHOR_DATE": f"{MOMENT} +0200",
    "GIT_COMMITTER_NAME": "Gate Keeper",
    "GIT_COMMITTER_EMAIL": "gate@example.com",
    "GIT_COMMITTER_DATE": f"{MOMENT + 60} -0500",
    "HGPLAIN": "1",
    "HGRCPATH": "",
    "HGENCODING": "UTF-8",
}


def call(*argv: str | Path, stdin: bytes = b"") -> str:
    """What a tool prints; the test fails where the tool does."""
    finished = subprocess.run(argv, env=ENVIRONMENT, input=stdin, capture_output=True, check=False)
    assert finished.returncode == 0, finished.stderr.decode()
    return finished.stdout.decode().rstrip("\n")


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


class GitSource:
    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def new(cls, path: Path) -> Self:
        call("git", "init", "--quiet", "--initial-branch=main", path)
        return cls(path)

    def git(self, *arguments: str, stdin: bytes = b"") -> str:
        return call("git", "-C", self.path, *arguments, stdin=stdin)

    def commit(self, files: dict[str, bytes], message: str = "A change") -> str:
        write(self.path, files)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    def merge(self, branch: str) -> str:
        self.git("merge", "--quiet", "--no-ff", "--message", f"Merge {branch}", branch)
        return self.git("rev-parse", "HEAD")

    def grow(self, commits: int) -> None:
        """Many commits in one go, on the branch `long`."""
        lines = [
            f"commit refs/heads/long\ncommitter A <a@example.com> {MOMENT + number} +0000\ndata 3\nno\n\n"
            for number in range(commits)
        ]
        self.git("fast-import", "--quiet", stdin="".join(lines).encode())


class HgSource:
    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def new(cls, path: Path) -> Self:
        call("hg", "init", path)
        return cls(path)

    def hg(self, *arguments: str) -> str:
        return call("hg", "--repository", self.path, "--cwd", self.path, *arguments)

    def commit(self, files: dict[str, bytes], message: str = "A change") -> str:
        write(self.path, files)
        command = ("commit", "--addremove", "--user", PERSON, "--date", f"{MOMENT} -7200")
        # Only the chattiest hg tells the full sha; another call for it would take as long as the commit.
        output = self.hg(*command, "--debug", "--message", message)
        found = re.search(r"^committed changeset \d+:([0-9a-f]{40})$", output, re.MULTILINE)
        assert found
        return found[1]
