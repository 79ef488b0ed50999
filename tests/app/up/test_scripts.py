import re
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[3] / "scripts"
# The lists of packages grow with what is tested; how they are read does not.
FEW = "git=git mercurial=hg chromium=chromium|chromium-browser|google-chrome"
MORE = "redis-server=redis-server rabbitmq-server=rabbitmq-server"
NEEDED = ["sh", "tr", "env", "dirname", "rm"]
# The packages of this machine are the far side: apt-get only notes what it was asked for.
APT = """#!/bin/sh
echo "$DEBIAN_FRONTEND $*" >> "$APT_LOG"
if [ "$1" = install ] && [ -e "$APT_LOG.stale" ]; then rm "$APT_LOG.stale"; echo 'E: gone'; exit 100; fi
[ ! -e "$APT_LOG.broken" ] || { echo 'E: broken'; exit 100; }
"""


class Machine:
    """A PATH of its own with pretended programs."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.log = folder / "apt.log"
        for name in NEEDED:
            found = shutil.which(name)
            assert found is not None
            (self.bin / name).symlink_to(found)
        self.has("uname", "echo Linux")
        self.has("id", "echo 0")

    def has(self, name: str, script: str = "exit 0") -> None:
        (self.bin / name).unlink(missing_ok=True)
        (self.bin / name).write_text(script if script.startswith("#!") else f"#!/bin/sh\n{script}\n")
        (self.bin / name).chmod(0o755)

    def run(self, script: str, *words: str) -> subprocess.CompletedProcess[str]:
        # The script looks into the system's sbin too; nothing it asks for lies there.
        text = (SCRIPTS / script).read_text().replace(":/usr/sbin:/sbin", "")
        text = re.sub("^TEST_PACKAGES='[^']*'", f"TEST_PACKAGES='{FEW}'", text, flags=re.MULTILINE)
        text = re.sub("^LONG_PACKAGES='[^']*'", f"LONG_PACKAGES='{MORE}'", text, flags=re.MULTILINE)
        copy = self.bin.parent / script
        copy.write_text(text)
        return subprocess.run(
            ["/bin/sh", copy, *words],
            env={"PATH": str(self.bin), "APT_LOG": str(self.log)},
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def asked(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    shutil.copy(SCRIPTS / "have-packages", tmp_path / "have-packages")
    return Machine(tmp_path)


INSTALL = "noninteractive install -y -q --no-install-recommends"


def test_nothing_is_asked_for_when_everything_is_there(machine: Machine) -> None:
    for name in ("git", "hg", "google-chrome", "apt-get"):
        machine.has(name)

    done = machine.run("have-packages")

    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_missing_is_installed_in_one_call(machine: Machine) -> None:
    machine.has("git")
    machine.has("apt-get", APT)

    done = machine.run("have-packages")

    assert (done.returncode, done.stderr) == (0, "Installing mercurial chromium ...\n")
    assert machine.asked == [f"{INSTALL} mercurial chromium"]


def test_the_lists_are_updated_when_they_are_stale(machine: Machine) -> None:
    for name in ("hg", "chromium"):
        machine.has(name)
    machine.has("apt-get", APT)
    machine.log.with_name("apt.log.stale").touch()

    done = machine.run("have-packages")

    assert done.returncode == 0
    assert machine.asked == [f"{INSTALL} git", "noninteractive update -q", f"{INSTALL} git"]


def test_what_cannot_be_installed_is_told_with_the_words_of_apt(machine: Machine) -> None:
    machine.has("apt-get", APT)
    machine.log.with_name("apt.log.broken").touch()

    done = machine.run("have-packages")

    assert done.returncode == 1
    assert "E: broken\napt-get could not install git mercurial chromium" in done.stderr


def test_without_the_right_to_install_the_command_is_told(machine: Machine) -> None:
    machine.has("id", "echo 1000")
    machine.has("sudo", "exit 1")
    machine.has("apt-get", APT)

    done = machine.run("have-packages")

    assert done.returncode == 1
    assert done.stderr == (
        "Missing: git mercurial chromium."
        " Install with: sudo apt-get install --no-install-recommends git mercurial chromium\n"
    )
    assert machine.asked == []


def test_sudo_without_a_password_will_do(machine: Machine) -> None:
    machine.has("id", "echo 1000")
    machine.has("sudo", 'shift; exec "$@"')
    machine.has("true")
    machine.has("apt-get", APT)

    assert machine.run("have-packages").returncode == 0
    assert machine.asked == [f"{INSTALL} git mercurial chromium"]


def test_without_apt_the_missing_ones_are_named(machine: Machine) -> None:
    machine.has("git")

    done = machine.run("have-packages")

    assert done.returncode == 1
    assert done.stderr.startswith("Missing: mercurial chromium. Install these")


def test_the_long_tests_need_more(machine: Machine) -> None:
    for name in ("git", "hg", "chromium-browser"):
        machine.has(name)
    machine.has("apt-get", APT)

    assert machine.run("have-packages", "long").returncode == 0
    assert machine.asked == [f"{INSTALL} redis-server rabbitmq-server"]


def test_a_python_that_can_make_environments_is_enough(machine: Machine) -> None:
    machine.has("python3")

    done = machine.run("have-venv")

    assert (done.returncode, done.stderr) == (0, "")


def test_the_package_for_environments_is_installed(machine: Machine) -> None:
    machine.has("python3", 'case "$2" in *ensurepip*) exit 1 ;; esac')
    machine.has("apt-get", APT)

    assert machine.run("have-venv").returncode == 0
    assert machine.asked == [f"{INSTALL} python3-venv"]


def test_an_old_python_is_refused_in_one_sentence(machine: Machine) -> None:
    machine.has("python3", 'case "$2" in *exit*) exit 1 ;; *print*) echo 3.9 ;; esac')

    done = machine.run("have-venv")

    assert done.returncode == 1
    assert done.stderr == (
        "python3 is Python 3.9, and 3.11 or newer is needed: install one and put it first on the PATH.\n"
    )


def test_an_old_python_is_fine_on_macos_where_uv_brings_its_own(machine: Machine) -> None:
    machine.has("python3", 'case "$2" in *exit*) exit 1 ;; esac')
    machine.has("uname", "echo Darwin")

    assert machine.run("have-venv").returncode == 0


def test_no_python_at_all_is_told(machine: Machine) -> None:
    done = machine.run("have-venv")

    assert done.returncode == 1
    assert "There is no python3" in done.stderr
