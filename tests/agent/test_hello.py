"""How an agent gets in and says who it is; its key; its settings."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.agent.running import PLAIN, a_step, agent_process, eventually, running_agent
from tests.fakes.coordinator import AGENT_TOKEN, ENROL_TOKEN, Coordinator

from changes.agent.errors import BadOptions
from changes.agent.main import STOPPED, Orders
from changes.agent.options import enrolment_token_of, parse
from changes.protocol import VERSION

EXIT_WITHIN_S = 180.0
# The number of the system call on x86 and on ARM.
FUTEX = ("202", "98")
SERVER = ["--server", "http://127.0.0.1:1"]


@pytest.fixture
def enrolled(coordinator: Coordinator, home: Path) -> Path:
    home.mkdir()
    store(coordinator, home, AGENT_TOKEN)
    return home


def store(coordinator: Coordinator, home: Path, token: str) -> None:
    stored = {"server": coordinator.url, "node_id": "node-1", "token": token}
    (home / "identity.json").write_text(json.dumps(stored))


def key_of(home: Path) -> Any:
    return json.loads((home / "identity.json").read_text())["token"]


# --- getting in --------------------------------------------------------------------------


def test_the_one_time_token_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")

    options = parse([*SERVER, "--enrol-file", str(tmp_path / "token")], {"CHANGES_ENROL_TOKEN": "other"})

    assert enrolment_token_of(options) == "secret"


def test_the_one_time_token_may_come_from_a_credential_of_systemd(tmp_path: Path) -> None:
    (tmp_path / "enrol-token").write_text("secret\n")

    options = parse(SERVER, {"CREDENTIALS_DIRECTORY": str(tmp_path)})

    assert enrolment_token_of(options) == "secret"


def test_a_missing_file_of_a_token_is_told_in_words_when_it_is_needed(tmp_path: Path) -> None:
    options = parse([*SERVER, "--enrol-file", str(tmp_path / "none")], {})

    with pytest.raises(BadOptions, match="cannot be read"):
        enrolment_token_of(options)


def test_the_token_is_not_shown_with_the_options() -> None:
    assert "secret" not in repr(parse(SERVER, {"CHANGES_ENROL_TOKEN": "secret"}))


@pytest.mark.system
def test_the_one_time_token_may_come_from_standard_input(coordinator: Coordinator, home: Path) -> None:
    words = ["--server", coordinator.url, "--home", str(home), "--enrol-file", "-"]
    agent = subprocess.Popen(
        [sys.executable, "-m", "changes.agent.main", *words],
        stdin=subprocess.PIPE,
        env={**os.environ, **PLAIN},
    )
    assert agent.stdin is not None
    with agent.stdin:
        agent.stdin.write(f"{ENROL_TOKEN}\n".encode())

    coordinator.wait_for(lambda: coordinator.hellos)

    agent.terminate()
    assert agent.wait(EXIT_WITHIN_S) == 0
    assert stat.S_IMODE((home / "identity.json").stat().st_mode) == 0o600


# --- settings ----------------------------------------------------------------------------


def test_the_command_line_counts_more_than_the_environment_and_that_more_than_the_file(
    tmp_path: Path,
) -> None:
    file = tmp_path / "agent.toml"
    file.write_text('server = "http://file"\nhome = "/file"\nname = "of file"\n[labels]\ngpu = "1"\n')
    environment = {"CHANGES_SERVER": "http://environment/", "CHANGES_AGENT_HOME": "/environment"}

    options = parse(["--config", str(file), "--home", "/line"], environment)

    assert (options.server, options.home) == ("http://environment", Path("/line"))
    assert (options.name, options.labels) == ("of file", {"gpu": "1"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("server = ", "cannot be read"),
        ('sever = "x"', "unknown keys: sever"),
        ("server = 1", "server must be text"),
        ("slots = 0", "slots is wrong"),
        ('slots = "many"', "slots is wrong"),
        ("labels = {a = 1}", "labels must be a table of texts"),
        ("stop_after_s = -1", "stop_after_s is wrong"),
        ("\xff", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_words(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "agent.toml").write_bytes(text.encode("latin-1"))

    with pytest.raises(BadOptions, match=words):
        parse([*SERVER, "--config", str(tmp_path / "agent.toml")], {})


@pytest.mark.system
def test_a_hangup_makes_an_agent_read_its_file_again(
    coordinator: Coordinator, home: Path, tmp_path: Path
) -> None:
    file = tmp_path / "agent.toml"
    file.write_text("slots = 1\n")
    with agent_process(coordinator, home, "--config", str(file)) as agent:
        first, second = (coordinator.offer(a_step("sleep 600", id=f"s{number}")) for number in (1, 2))
        coordinator.wait_for(lambda: first.reports)
        file.write_text('slots = 2\n[labels]\ngpu = "1"\n')

        agent.send_signal(signal.SIGHUP)

        coordinator.wait_for(lambda: second.reports)
        coordinator.wait_for(lambda: coordinator.hellos[-1].slots > 1)
        told = coordinator.hellos[-1]
        assert (told.slots, told.labels, told.steps) == (2, {"gpu": "1"}, None)


@pytest.mark.system
def test_a_file_that_was_spoiled_changes_nothing(
    coordinator: Coordinator, home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "agent.toml"
    file.write_text("slots = 1\n")
    with agent_process(coordinator, home, "--config", str(file)) as agent:
        coordinator.wait_for(lambda: coordinator.hellos)
        file.write_text("slots = many\n")

        agent.send_signal(signal.SIGHUP)

        coordinator.wait_for(lambda: len(coordinator.hellos) > 1)
        assert coordinator.hellos[-1].slots == 1
    assert "Everything stays as it was" in capfd.readouterr().err


# --- who it is ---------------------------------------------------------------------------


@pytest.mark.system
def test_an_agent_says_at_each_start_what_it_offers_and_what_it_still_has(
    coordinator: Coordinator, home: Path
) -> None:
    with agent_process(coordinator, home, "--slots", "3", "--label", "gpu=no"):
        coordinator.wait_for(lambda: coordinator.hellos)
    (home / "steps" / "left").mkdir()
    with agent_process(coordinator, home, "--slots", "4"):
        coordinator.wait_for(lambda: len(coordinator.hellos) > 1)

    first, second = coordinator.hellos
    assert (first.slots, first.labels, first.steps) == (3, {"gpu": "no"}, [])
    assert (second.slots, second.labels, second.steps) == (4, {}, ["left"])
    assert "" != first.run != second.run != ""
    assert first.cpus > 0
    assert first.memory_mb > 0


@pytest.mark.parametrize("spoken", [VERSION - 1, VERSION + 1])
def test_an_agent_works_with_a_server_one_version_apart(
    coordinator: Coordinator, home: Path, spoken: int
) -> None:
    coordinator.protocol = spoken
    with running_agent(coordinator, home):
        assert coordinator.final_of(coordinator.offer(a_step("true"))).result == "passed"


@pytest.mark.system
@pytest.mark.parametrize("spoken", [VERSION - 2, VERSION + 2])
def test_an_agent_refused_for_its_version_ends_with_the_servers_words(
    coordinator: Coordinator, enrolled: Path, spoken: int, capfd: pytest.CaptureFixture[str]
) -> None:
    coordinator.protocol = spoken
    with agent_process(coordinator, enrolled) as agent:
        assert agent.wait(EXIT_WITHIN_S) == 3

    said = capfd.readouterr().err
    assert f"The agent speaks protocol {VERSION}, this server {spoken}" in said
    assert "enrol again" not in said


@pytest.mark.system
@pytest.mark.parametrize(("told", "older"), [(VERSION - 2, "server"), (VERSION + 2, "agent")])
def test_an_agent_refuses_a_server_that_is_too_far_apart_by_itself(
    coordinator: Coordinator, enrolled: Path, told: int, older: str, capfd: pytest.CaptureFixture[str]
) -> None:
    coordinator.welcome = {"protocol": told}
    with agent_process(coordinator, enrolled) as agent:
        assert agent.wait(EXIT_WITHIN_S) == 3

    assert f"Please upgrade the {older}." in capfd.readouterr().err


def test_an_agent_whose_name_another_has_goes_on_and_says_so(
    coordinator: Coordinator, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    coordinator.welcome = {"name": "earlier"}
    with running_agent(coordinator, home):
        assert coordinator.final_of(coordinator.offer(a_step("true"))).result == "passed"

    assert "is another machine's; this one stays earlier" in caplog.text


def test_an_agent_sends_no_more_at_once_than_the_server_takes(coordinator: Coordinator, home: Path) -> None:
    coordinator.welcome = {"log_chunk_max_bytes": 1000}
    with running_agent(coordinator, home):
        step = coordinator.offer(a_step("seq 1000"))
        assert coordinator.final_of(step).result == "passed"

    assert sum("/logs/console/" in request for request in coordinator.requests) >= 3
    assert step.console.count("\n") == 1002


# --- its key -----------------------------------------------------------------------------


@pytest.fixture
def renewing(coordinator: Coordinator, enrolled: Path) -> Iterator[Path]:
    coordinator.welcome = {"is_key_due": True}
    with running_agent(coordinator, enrolled):
        coordinator.wait_for(lambda: len(coordinator.keys) > 1)
        eventually(lambda: key_of(enrolled) == coordinator.keys[-1])
        yield enrolled


def test_an_agent_replaces_its_key_when_it_is_told_to(coordinator: Coordinator, renewing: Path) -> None:
    with coordinator.changed:
        del coordinator.keys[0]

    step = coordinator.offer(a_step("true"))

    assert coordinator.final_of(step).result == "passed"
    assert stat.S_IMODE((renewing / "identity.json").stat().st_mode) == 0o600


@pytest.mark.system
def test_an_agent_killed_while_it_replaces_its_key_starts_again(
    coordinator: Coordinator, enrolled: Path
) -> None:
    """At whatever moment it dies, the key that it has stored is one of those that are good."""
    coordinator.welcome = {"is_key_due": True}
    with agent_process(coordinator, enrolled) as agent:
        coordinator.wait_for(lambda: len(coordinator.keys) > 1)
        agent.kill()
        agent.wait()
    assert key_of(enrolled) in coordinator.keys

    with agent_process(coordinator, enrolled):
        assert coordinator.final_of(coordinator.offer(a_step("true"))).result == "passed"


# --- what it inherits --------------------------------------------------------------------


@pytest.mark.system
def test_a_step_ignores_no_signal_that_whoever_started_the_agent_ignored(
    coordinator: Coordinator, home: Path
) -> None:
    """As the shell does with what it starts in the background: SIGQUIT, SIGINT."""
    ignored = (signal.SIGQUIT, signal.SIGUSR1)
    before = [signal.signal(number, signal.SIG_IGN) for number in ignored]
    try:
        with agent_process(coordinator, home):
            step = coordinator.offer(a_step("grep -E '^Sig(Ign|Blk)' /proc/self/status"))
            coordinator.final_of(step)
    finally:
        for number, handler in zip(ignored, before, strict=True):
            signal.signal(number, handler)

    masks = [int(mask, 16) for mask in re.findall(r"^Sig\w+:\s*([0-9a-f]+)$", step.console, re.MULTILINE)]
    assert [[number for number in ignored if mask >> number - 1 & 1] for mask in masks] == [[], []]


# --- its end -----------------------------------------------------------------------------


def test_a_signal_that_does_not_wake_the_main_thread_is_heard_all_the_same() -> None:
    """One that another thread receives, as one that comes just before the main thread waits, wakes nobody."""
    main_thread = threading.get_native_id()

    def signal_myself() -> None:
        while not is_waiting(main_thread):
            continue
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

    with Orders.heard() as orders:
        other = threading.Thread(target=signal_myself)
        other.start()
        while (order := orders.next(within_s=60.0)) not in (STOPPED, None):
            continue
        other.join()

    assert order == STOPPED


def is_waiting(thread_id: int) -> bool:
    """For anything but Python's own lock."""
    call = Path(f"/proc/self/task/{thread_id}/syscall").read_text().split()[0]
    return call not in ("running", *FUTEX)


@pytest.mark.system
def test_an_agent_told_to_stop_may_let_its_steps_finish(
    coordinator: Coordinator, home: Path, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    with agent_process(coordinator, home, "--stop-after", "600") as agent:
        step = coordinator.offer(a_step(f"echo begun; until [ -e {gate} ]; do sleep 0.01; done"))
        coordinator.wait_for(lambda: "begun\n" in step.console)
        agent.send_signal(signal.SIGTERM)
        heard = len(coordinator.heartbeats)
        gate.touch()

        assert agent.wait(EXIT_WITHIN_S) == 0

    assert coordinator.final_of(step).result == "passed"
    assert len(coordinator.heartbeats) >= heard


@pytest.mark.system
def test_a_second_order_to_stop_gives_the_steps_back_at_once(
    coordinator: Coordinator, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    said = ""
    with agent_process(coordinator, home, "--stop-after", "600") as agent:
        step = coordinator.offer(a_step("echo begun; sleep 600"))
        coordinator.wait_for(lambda: "begun\n" in step.console)
        agent.send_signal(signal.SIGTERM)
        assert agent.stderr is not None
        while "may finish" not in said:
            said += agent.stderr.readline().decode()

        agent.send_signal(signal.SIGTERM)

        assert agent.wait(EXIT_WITHIN_S) == 0
    assert coordinator.final_of(step).reason == "agent_stopped"
