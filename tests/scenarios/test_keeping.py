"""Caches and snapshots through the whole system: what one build has set up, the next one finds."""

import subprocess
from pathlib import Path

import pytest
from tests.factories import commit
from tests.scenarios import prepared
from tests.scenarios.running import RunningSystem

pytestmark = pytest.mark.system

CACHED = """
plans:
  - name: tests
    cache:
      - key: "deps-{{ hashFiles('*.lock') }}"
        paths: [deps, "~/.tool"]
        restore_keys: [deps-]
    commands:
      - if [ -e deps/made ]; then echo found $(cat deps/made ~/.tool); else mkdir -p deps;
        echo fresh; cp app.lock deps/made; cp app.lock ~/.tool; fi
"""
SET_UP = """
plans:
  - name: tests
    snapshot: ["~", built]
    commands:
      - {type: setup, script: "mkdir built; echo ready > built/tool; ln -s /etc/hostname ~/link; echo SET-UP"}
      - test -L ~/link && cat built/tool
"""


def log_of(system: RunningSystem, build_id: str) -> str:
    return system.api.log(system.api.attempts(build_id)[-1]["id"]).decode()


def passed(system: RunningSystem, build_id: str) -> str:
    """Its log."""
    build = system.api.finished(build_id, 60)
    log = log_of(system, build_id)
    assert build["result"]["id"] == "passed", log
    return log


def test_what_a_build_keeps_the_next_one_finds(system: RunningSystem) -> None:
    slug = system.project({".changes.yml": CACHED, "app.lock": "one\n"})
    passed(system, system.api.build(slug))

    log = passed(system, system.api.build(slug))

    assert "found one one" in log


def test_another_lock_file_begins_with_the_newest_cache_and_keeps_its_own(system: RunningSystem) -> None:
    slug = system.project({".changes.yml": CACHED, "app.lock": "one\n"})
    passed(system, system.api.build(slug))
    commit(system.repository_of(slug), {"app.lock": "two\n"}, "Another")

    log = passed(system, system.api.build(slug))

    assert "begun with deps-" in log
    assert len(system.api.get(f"/projects/{slug}/caches/")) == 2


def test_a_build_of_a_current_snapshot_needs_no_set_up(system: RunningSystem) -> None:
    slug = system.project({".changes.yml": SET_UP})
    snapshot = system.api.post(f"/projects/{slug}/snapshots/", sha="HEAD")
    assert "SET-UP" in passed(system, snapshot["build"]["id"])
    system.api.post(f"/snapshots/{snapshot['id']}/", set_current="1")

    log = passed(system, system.api.build(slug))

    assert "SET-UP" not in log.splitlines()
    assert "laid out" in log
    assert "ready" in log


def test_no_snapshot_means_everything_is_set_up(system: RunningSystem) -> None:
    slug = system.project({".changes.yml": SET_UP})
    snapshot = system.api.post(f"/projects/{slug}/snapshots/", sha="HEAD")
    passed(system, snapshot["build"]["id"])
    system.api.post(f"/snapshots/{snapshot['id']}/", set_current="1")

    log = passed(system, system.api.build(slug, no_snapshot=True))

    assert "SET-UP" in log.splitlines()


def test_without_its_bytes_everything_is_set_up(system: RunningSystem) -> None:
    slug = system.project({".changes.yml": SET_UP})
    snapshot = system.api.post(f"/projects/{slug}/snapshots/", sha="HEAD")
    passed(system, snapshot["build"]["id"])
    told = system.api.post(f"/snapshots/{snapshot['id']}/", set_current="1")
    sha256 = told["images"][0]["sha256"]
    (system.home / "agent" / "kept" / sha256).unlink()
    for path in (system.home / "blobs" / "blobs" / sha256[:2]).iterdir():
        path.unlink()

    log = passed(system, system.api.build(slug))

    assert "SET-UP" in log.splitlines()
    assert "cannot be used" in log


OF_MACHINE = """
plans:
  - name: tests
    sandbox: bubblewrap
    snapshot: [/opt, /usr/local]
    commands:
      - type: setup
        script: |
          mkdir -p /opt/tool/lib
          echo made > /opt/tool/lib/data
          printf '#!/bin/sh\\ncat /opt/tool/lib/data\\n' > /usr/local/bin/changes-test-tool
          chmod +x /usr/local/bin/changes-test-tool
      - test -f /opt/tool/lib/data
      - changes-test-tool
      - echo mine > /opt/tool/lib/data && rm /usr/local/bin/changes-test-tool
"""


def test_a_snapshot_of_the_machine_lies_over_it_and_changes_nothing(system: RunningSystem) -> None:
    slug = system.project({".changes.yml": OF_MACHINE})
    snapshot = system.api.post(f"/projects/{slug}/snapshots/", sha="HEAD")
    build = system.api.finished(snapshot["build"]["id"], 60)
    if build["result"]["id"] != "passed":
        # What is said where no namespaces can be made.
        assert "bubblewrap" in log_of(system, build["id"])
        return
    system.api.post(f"/snapshots/{snapshot['id']}/", set_current="1")

    logs = [passed(system, system.api.build(slug)) for _ in range(2)]

    assert all("made" in log.splitlines() for log in logs), logs
    assert not Path("/opt/tool").exists()
    assert not Path("/usr/local/bin/changes-test-tool").exists()


def changes(system: RunningSystem, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**system.agent.env, "CHANGES_URL": system.url, "CHANGES_TOKEN": system.api.token}
    return prepared.command(*arguments, env=env)


def test_a_step_is_reproduced_on_this_machine(system: RunningSystem) -> None:
    slug = system.project({".changes.yml": SET_UP})
    snapshot = system.api.post(f"/projects/{slug}/snapshots/", sha="HEAD")
    passed(system, snapshot["build"]["id"])
    build_id = system.api.build(slug, snapshot_id=snapshot["id"])
    passed(system, build_id)
    step = system.api.attempts(build_id)[0]["id"]
    home = system.home.parent / "reproduced"

    done = changes(
        system, "reproduce", "--home", str(home), step, "--", "sh", "-c", "cat built/tool; pwd; env"
    )

    assert done.returncode == 0, done.stderr
    assert "ready" in done.stdout
    assert f"CHANGES_STEP_ID={step}" in done.stdout
    assert "no secrets" in done.stderr
    assert not list((home / "steps").iterdir())


def test_a_reproduced_step_runs_its_commands_and_tells_how_they_ended(system: RunningSystem) -> None:
    slug = system.project({".changes.yml": "plans: [{name: tests, commands: ['echo hello; exit 7']}]"})
    build_id = system.api.build(slug)
    system.api.finished(build_id, 60)
    step = system.api.attempts(build_id)[0]["id"]

    done = changes(system, "reproduce", "--run", "--home", str(system.home.parent / "reproduced"), step)

    assert (done.returncode, done.stdout) == (7, "hello\n"), done.stderr


def test_snapshots_and_caches_are_managed_from_the_command_line(system: RunningSystem) -> None:
    slug = system.project({".changes.yml": SET_UP})
    snapshot_id = changes(system, "snapshot", "create", slug).stdout.strip()
    passed(system, system.api.get(f"/snapshots/{snapshot_id}/")["build"]["id"])

    used = changes(system, "snapshot", "use", snapshot_id)

    assert used.returncode == 0, used.stderr
    assert "current" in changes(system, "snapshot", "list", slug).stdout
    assert changes(system, "snapshot", "invalidate", snapshot_id).returncode == 0
    assert "invalidated" in changes(system, "snapshot", "list", slug).stdout
    assert "Removed 0" in changes(system, "cache", "remove", slug).stderr
