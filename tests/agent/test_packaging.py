"""The files that keep programs running: units of systemd, a sample for supervisord, settings of an agent."""

import configparser
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from changes.agent.options import enrolment_token_of, parse
from changes.app.cli.main import app

PACKAGING = Path(__file__).parents[2] / "packaging"
UNITS = sorted((PACKAGING / "systemd").glob("*.service"))
INSTALLED = "/opt/changes/bin/"
WITHIN_S = 120


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_systemd_has_no_complaint_about_a_unit(unit: Path, tmp_path: Path) -> None:
    text = unit.read_text()
    assert INSTALLED in text
    verify = shutil.which("systemd-analyze")
    if verify is None:
        return
    programs = {f"{INSTALLED}{name}": sys.executable for name in ("changes-agent", "changes")}
    for installed, here in programs.items():
        text = text.replace(f"ExecStart={installed} ", f"ExecStart={here} ")
    copy = tmp_path / unit.name
    copy.write_text(text)

    done = subprocess.run(
        [verify, "verify", str(copy)], check=False, capture_output=True, text=True, timeout=WITHIN_S
    )

    about_it = [line for line in done.stderr.splitlines() if unit.name in line or str(copy) in line]
    assert about_it == []


def test_every_program_of_the_sample_for_supervisord_is_one_of_ours() -> None:
    sample = configparser.ConfigParser(interpolation=None)
    sample.read(PACKAGING / "supervisor" / "changes.conf")
    commands = {each.name or getattr(each.callback, "__name__", "") for each in app.registered_commands}

    words = {name: sample[name]["command"].split() for name in sample.sections()}

    assert sorted(words) == ["program:changes-agent", "program:changes-web", "program:changes-worker"]
    assert {words["program:changes-web"][1], words["program:changes-worker"][1]} <= commands
    agent = [*words["program:changes-agent"][1:], "--config", str(PACKAGING / "agent.toml")]
    assert parse(agent, {}).home == Path("/var/lib/changes-agent")


def test_the_sample_of_an_agents_settings_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret")
    sample = (PACKAGING / "agent.toml").read_text()
    uncommented = sample.replace("# [", "[").replace("# cluster", "cluster").replace("# slots", "slots")
    (tmp_path / "agent.toml").write_text(
        uncommented.replace("/etc/changes/enrol-token", str(tmp_path / "token"))
    )

    options = parse(["--config", str(tmp_path / "agent.toml")], {})

    assert (options.server, options.slots) == ("https://changes.example.com", 4)
    assert options.labels == {"cluster": "linux"}
    assert enrolment_token_of(options) == "secret"
