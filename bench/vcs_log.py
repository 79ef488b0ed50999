"""How fast the log of a large repository is read, against plain `git log` with the same fields."""

import subprocess
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.figures import Figure, Goal, Limit, median
from changes.vcs import git_output
from changes.vcs.open import open_mirror

COMMITS, FEW, ROUNDS = 50_000, 5_000, 5
# Of the rate of plain `git log`, from issue to issue.
GOAL_RATIO = 0.5
MEGABYTE = 2**20
READ_BYTES = 64 * 1024


def measure(*, quick: bool) -> Iterator[Figure]:
    commits = FEW if quick else COMMITS
    with tempfile.TemporaryDirectory(prefix="changes-bench-") as folder:
        source = Path(folder) / "source.git"
        make(source, commits)
        mirror = open_mirror("git", str(source), Path(folder) / "mirror")
        mirror.update()

        def ours() -> int:
            return sum(1 for _ in mirror.log())

        bare = [rate(commits, lambda: plain(mirror.path)) for _ in range(ROUNDS)]
        read = [rate(commits, ours) for _ in range(ROUNDS)]
        limit = Limit("plain git log", median(bare))
        yield Figure(
            "vcs log",
            median(read),
            "commits/s",
            count=commits,
            limit=limit,
            goal=Goal("at least", GOAL_RATIO * limit.value),
        )
        yield Figure(
            "vcs log, memory at its peak", peak_mb(ours), "MB", count=commits, goal=Goal("at most", 10)
        )


def make(source: Path, commits: int) -> None:
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", source], check=True)
    lines = (commit(number) for number in range(commits))
    with subprocess.Popen(
        ["git", "-C", source, "fast-import", "--quiet"], stdin=subprocess.PIPE, text=True
    ) as importing:
        if importing.stdin is None:
            raise RuntimeError("fast-import reads a pipe")
        importing.stdin.writelines(lines)
        importing.stdin.close()
        if importing.wait():
            raise RuntimeError("git fast-import failed")


def commit(number: int) -> str:
    message = f"Change number {number}\n\nIt was needed for the frobnicator,\nwhich did not frobnicate."
    return (
        "commit refs/heads/main\n"
        f"author Ann Author <ann{number % 50}@example.com> {1_600_000_000 + number} +0100\n"
        f"committer Carl <carl@example.com> {1_600_000_060 + number} +0000\n"
        f"data <<END\n{message}\nEND\n"
        f"M 100644 inline f{number % 100}\ndata <<END\n{number}\nEND\n\n"
    )


def plain(mirror: Path) -> int:
    """With nothing of ours in it: the same fields, thrown away."""
    command = ["git", f"--git-dir={mirror}", "log", *git_output.LOG_OPTIONS, "main"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        if process.stdout is None:
            raise RuntimeError("git writes to a pipe")
        size_bytes = 0
        while chunk := process.stdout.read(READ_BYTES):
            size_bytes += len(chunk)
        return size_bytes


def rate(commits: int, read: Callable[[], int]) -> float:
    started_at = time.perf_counter()
    read()
    return commits / (time.perf_counter() - started_at)


def peak_mb(read: Callable[[], int]) -> float:
    tracemalloc.start()
    read()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / MEGABYTE
