"""The smallest agent: as many threads as slots, each takes, runs and reports one job after the other.

Run as `python -m bench.floor_agent PORT SLOTS FOLDER`, for a checkout with `REPOSITORY SHA` behind it.
"""

import itertools
import shutil
import subprocess
import sys
import threading
from pathlib import Path

from bench.wire import Caller

numbers = itertools.count()


def check_out(repository: Path, sha: str, into: Path) -> None:
    """A work tree that borrows the objects of the repository, by one git process."""
    own = into / ".git"
    (own / "objects" / "info").mkdir(parents=True)
    (own / "refs").mkdir()
    (own / "objects" / "info" / "alternates").write_text(f"{repository / '.git' / 'objects'}\n")
    (own / "HEAD").write_text(f"{sha}\n")
    subprocess.run(
        ["git", f"--git-dir={own}", f"--work-tree={into}", "read-tree", "--reset", "-u", sha], check=True
    )


def work(port: int, folder: Path, checkout: list[str]) -> None:
    caller = Caller(port)
    while True:
        job = caller.post("/next")["id"]
        where = folder / str(next(numbers))
        where.mkdir()
        if checkout:
            check_out(Path(checkout[0]), checkout[1], where)
        subprocess.run(["/bin/bash", "-eu", "-c", "true"], check=True, cwd=where)
        caller.post_json("/finish", job)
        shutil.rmtree(where)


def main() -> None:
    port, slots, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    threads = [
        threading.Thread(target=work, args=(port, folder, sys.argv[4:]), daemon=True) for _ in range(slots)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
