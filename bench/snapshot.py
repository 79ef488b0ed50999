"""A step whose set-up takes long, begun with a snapshot; and laying one out against bare tar and zstd.

The agent houses its steps as it does where nobody says anything: in bubblewrap, if that works here.
"""

import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import agents
from bench.figures import Figure, Goal, Limit, median
from bench.projects import Project, a_repository
from bench.system import System, running, temporary_folder, wait_until
from changes.agent.accounts import Account
from changes.agent.keeping import archives, unpacking
from changes.agent.keeping.roots import Root

SET_UP_S, QUICK_SET_UP_S = 20, 2
ENDS_WITHIN_S = 120
FILES, FILE_BYTES = 2000, 32 * 1024
ROUNDS, QUICK_ROUNDS = 5, 1
OWN = Account("", 0, 0)
MAKE = f"""
mkdir -p ~/deps
head -c {FILES * FILE_BYTES // 2} /dev/urandom | split -b {FILE_BYTES // 2} -a 4 - ~/deps/random-
for each in ~/deps/random-*; do head -c {FILE_BYTES // 2} /dev/zero >> "$each"; done
"""


def measure(*, quick: bool) -> Iterator[Figure]:
    set_up_s = QUICK_SET_UP_S if quick else SET_UP_S
    with temporary_folder() as folder, running() as system, agents.real(system, 1, {}):
        project = a_project(system, folder / "repository", set_up_s)
        without_s = took(lambda: build(system, project))
        made = make_snapshot(system, project)
        rounds = QUICK_ROUNDS if quick else ROUNDS
        packed = system.home / "agent" / "kept" / made["images"][0]["sha256"]
        # As on another machine: the agent that made it would have it at hand.
        packed.rename(folder / "packed")
        first_s = took(lambda: build(system, project))
        later_s = [took(lambda: build(system, project)) for _ in range(rounds)]
        remark = f"{FILES} files, {FILES * FILE_BYTES // 2**20} MB in the snapshot"
        limit, goal = Limit(f"with its {set_up_s} s of set-up", without_s), Goal("at most", 2)
        yield Figure("first build here with a snapshot", first_s, "s", limit=limit, goal=goal, remark=remark)
        name = "later build with that snapshot"
        yield Figure(name, median(later_s), "s", rounds, limit=limit, goal=goal)
        yield laid_out(folder / "packed", rounds)


def a_project(system: System, repository: Path, set_up_s: int) -> Project:
    project = Project("snapshots", a_repository(repository))
    caller = system.caller()
    caller.post("/api/0/repositories/", {"url": str(repository), "backend": "git"})
    caller.post("/api/0/projects/", {"name": project.slug, "repository": str(repository)})
    plan = caller.post(f"/api/0/projects/{project.slug}/plans/", {"name": "bench"})
    set_up = {"script": f"sleep {set_up_s}{MAKE}", "type": "setup", "artifacts": []}
    test = {"script": f"test $(ls ~/deps | wc -l) = {FILES}", "artifacts": []}
    caller.post_json(f"/api/0/plans/{plan['id']}/steps/", {"data": {"commands": [set_up, test]}})
    caller.post(f"/api/0/plans/{plan['id']}/", {"status": "active"})
    caller.close()
    return project


def took(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def build(system: System, project: Project) -> None:
    caller = system.caller()
    (made,) = caller.post("/api/0/builds/", project.build)
    end_well(system, made["id"])
    caller.close()


def end_well(system: System, build_id: str) -> None:
    caller = system.caller()
    path = f"/api/0/builds/{build_id}/"
    wait_until(lambda: caller.get_json(path)["status"]["id"] == "finished", ENDS_WITHIN_S)
    result = caller.get_json(path)["result"]["id"]
    caller.close()
    assert result == "passed", result


def make_snapshot(system: System, project: Project) -> dict[str, list[dict[str, str]]]:
    caller = system.caller()
    made = caller.post(f"/api/0/projects/{project.slug}/snapshots/", {"sha": project.sha})
    end_well(system, made["build"]["id"])
    current: dict[str, list[dict[str, str]]] = caller.post(
        f"/api/0/snapshots/{made['id']}/", {"set_current": "1"}
    )
    caller.close()
    return current


def laid_out(packed: Path, rounds: int) -> Figure:
    """What unpacking costs: ours, and the two programs that do nothing else."""
    ours, bare = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            into = Path(folder) / "ours"
            into.mkdir()
            root = Root("~", into, ())
            ours.append(took(lambda root=root: unpacking.unpack(packed, [root], OWN)))  # type: ignore[misc]
        with tempfile.TemporaryDirectory() as folder:
            line = ["tar", "--zstd", "-xf", str(packed), "-C", folder]
            bare.append(took(lambda line=line: subprocess.run(line, check=True)))  # type: ignore[misc]
    digest_s = took(lambda: archives.digest_of(packed))
    remark = f"and {digest_s:.2f} s to look at its digest"
    return Figure(
        "snapshot laid out", median(ours), "s", rounds, limit=Limit("tar --zstd", median(bare)), remark=remark
    )
