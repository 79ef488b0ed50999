"""What a step finds in each sandbox, and which sandbox it gets."""

import os
import pwd
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.agent.housed import House, a_house, host_processes_with, refused_here
from tests.agent.running import a_command, a_step, agent_process, eventually
from tests.fakes.coordinator import Coordinator

from changes.agent.sandboxes import bubblewrap
from changes.agent.sandboxes.choice import Offered, choose
from changes.agent.sandboxes.housing import STRANGERS_PIDS_MAX, limits_for
from changes.agent.sandboxes.role import Start
from changes.agent.verdict import TEARDOWN
from changes.protocol import Limits

# Sandboxes within a sandbox are another matter: not in the fast half, which is also our first build.
pytestmark = pytest.mark.system

# Signals 32 and 33, which no program may set: they are as whoever started us left them.
OF_THE_C_LIBRARY = 0b11 << 31
EVERYTHING = Offered(("process", "bubblewrap", "lxc", "podman"), ("memory", "pids", "cpu"))


@pytest.fixture(scope="module", params=["process", "bubblewrap"])
def house(request: pytest.FixtureRequest) -> Iterator[House]:
    with a_house(request.param) as house:
        yield house


def lines_of(console: str) -> list[str]:
    """What commands printed, without what the agent says of them."""
    return [line for line in console.splitlines() if not re.match(r"\$ |\[.*\]$", line)]


def test_a_step_works_in_its_own_folder_with_what_it_was_given(house: House) -> None:
    script = "pwd; echo $GIVEN; umask; touch here ~/there $TMPDIR/too; ls"

    step, report = house.run(a_step(script, env={"GIVEN": 'it\'s\n$HOME "and" more'}))

    if not house.works:
        assert refused_here(report)
        return
    assert report.result == "passed", step.console
    folder = house.home / "steps" / step.offer.id / "work"
    assert lines_of(step.console) == [str(folder), 'it\'s $HOME "and" more', "0022", "here"]


def test_the_environment_has_nothing_of_the_agent(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY", "sings")

    step, report = house.run(a_step(a_command("env", env={"odd-name": "1"})))

    if not house.works:
        assert refused_here(report)
        return
    names = {line.partition("=")[0] for line in lines_of(step.console)} - {"PWD", "SHLVL", "_", "OLDPWD"}
    base = {"PATH", "HOME", "LANG", "TERM", "TMPDIR", "CI", "CHANGES_STEP_MARK"}
    base |= {"CHANGES_LOGS", "CHANGES_CARDS"}
    assert names == base | {"odd-name"}


def test_a_command_gets_three_open_files_and_no_terminal(house: House) -> None:
    # The folder of descriptors is open itself while its names are read.
    script = (
        "for fd in /proc/$$/fd/*; do if readlink $fd > /dev/null; then echo ${fd##*/}; fi; done; tty || true"
    )

    step, report = house.run(a_step(script))

    if not house.works:
        assert refused_here(report)
        return
    # 255 is where bash keeps the script it reads.
    assert lines_of(step.console) == ["0", "1", "2", "255", "not a tty"]


@pytest.mark.usefixtures("hears_hangups")
def test_no_signal_is_ignored_or_blocked(house: House) -> None:
    step, report = house.run(a_step("grep -E 'Sig(Ign|Blk)' /proc/self/status"))

    if not house.works:
        assert refused_here(report)
        return
    masks = [int(line.split()[1], 16) & ~OF_THE_C_LIBRARY for line in lines_of(step.console)]
    assert masks == [0, 0]


def test_a_service_of_one_command_is_there_for_the_next_and_ends_with_the_step(house: House) -> None:
    word = f"6{id(house) % 10**9:09d}.5"

    step, report = house.run(a_step(f"setsid sleep {word} & echo $! > pid", "kill -0 $(cat pid); echo lives"))

    if not house.works:
        assert refused_here(report)
        return
    assert "lives" in lines_of(step.console)
    eventually(lambda: not host_processes_with(word))


def test_how_a_command_ended_is_told(house: House) -> None:
    _, report = house.run(a_step("exit 7"))
    _, killed = house.run(a_step("kill -SEGV $$"))

    if not house.works:
        assert refused_here(report)
        return
    assert [report.commands[0].return_code, killed.commands[0].return_code] == [7, -11]


def test_a_step_whose_time_is_up_is_cleaned_up(house: House) -> None:
    word = f"7{id(house) % 10**9:09d}.5"
    teardown = a_command("echo cleaned", id="c2", type=TEARDOWN)

    step, report = house.run(a_step(f"sleep {word}", teardown, timeout_s=1.0))

    if not house.works:
        assert refused_here(report)
        return
    assert (report.result, report.reason) == ("failed", "timeout")
    assert "cleaned" in lines_of(step.console)
    eventually(lambda: not host_processes_with(word))


def test_a_command_may_clean_up_when_it_is_told_to_end(house: House) -> None:
    script = "trap 'echo tidy; exit 0' TERM; touch ready; while :; do sleep 0.05; done"

    step = house.offer(a_step(script))
    if not house.works:
        assert refused_here(house.coordinator.final_of(step))
        return
    eventually((house.home / "steps" / step.offer.id / "work" / "ready").exists)
    house.coordinator.cancel(step.offer.id)

    # The server wants no more of its log; that it ended in time shows that it was asked to.
    assert house.coordinator.final_of(step).result == "aborted"


def test_what_a_collector_prints_is_reported_apart(house: House) -> None:
    step, report = house.run(a_step(a_command("echo warned >&2; echo '[1]'", captures_output=True)))

    if not house.works:
        assert refused_here(report)
        return
    assert report.commands[0].output == "[1]\n"
    assert "warned" in lines_of(step.console)


def test_preparing_the_machine_has_a_log_of_its_own(house: House) -> None:
    step, report = house.run(
        a_step(a_command("echo prepared", type="infra_setup"), a_command("true", id="c2"))
    )

    if not house.works:
        assert refused_here(report)
        return
    assert bytes(step.logs["infra"]) == b"prepared\n"
    assert "prepared" not in lines_of(step.console)


def test_a_command_writes_further_logs(house: House) -> None:
    step, report = house.run(
        a_step("echo one > $CHANGES_LOGS/server.log; echo two >> $CHANGES_LOGS/server.log")
    )

    if not house.works:
        assert refused_here(report)
        return
    assert bytes(step.logs["server.log"]) == b"one\ntwo\n"


def test_secrets_are_given_and_hidden(house: House) -> None:
    script = "echo $TOKEN; echo $TOKEN | base64; echo $TOKEN > $CHANGES_LOGS/more; test ${#TOKEN} = 15"

    step, report = house.run(a_step(script, secrets={"TOKEN": "swordfish-12345"}))

    if not house.works:
        assert refused_here(report)
        return
    assert report.result == "passed"
    assert lines_of(step.console)[0] == "***"
    assert bytes(step.logs["more"]) == b"***\n"
    assert b"c3dvcmRmaXNo" not in bytes(step.logs["console"])


def test_what_a_command_used_is_told(house: House) -> None:
    _, report = house.run(a_step("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"))

    if not house.works:
        assert refused_here(report)
        return
    assert (report.commands[0].cpu_ms or 0) > 0


def test_a_limit_of_memory_is_held_or_nothing_is_promised(house: House) -> None:
    script = "python3 -c 'x = bytearray(400 << 20); print(len(x))'"

    step, report = house.run(a_step(script, limits=Limits(memory_mb=100)))

    if not house.works:
        assert refused_here(report)
    elif "memory" in house.housing.trees.limits:
        assert (report.result, report.reason) == ("failed", "out_of_memory")
        assert report.commands[0].peak_memory_kb is not None
    else:
        assert report.result == "passed", step.console


def test_a_step_without_network_reaches_nobody(house: House) -> None:
    port = house.coordinator.url.rpartition(":")[2]
    script = f"(echo > /dev/tcp/127.0.0.1/{port}) 2>/dev/null && echo reached || echo alone"

    step, report = house.run(a_step(script, network=False))

    if not house.works:
        assert refused_here(report)
    elif house.kind == "process":
        assert "no sandbox that sees to it" in (report.message or "")
    else:
        assert lines_of(step.console) == ["alone"]


def test_the_program_houses_steps_as_its_machine_allows() -> None:
    """Started as root it drops to the account of steps; the server hears what there is."""
    unsaid = {"CHANGES_AGENT_SANDBOX": "", "CHANGES_STEP_ACCOUNT": ""}
    folder = Path(tempfile.mkdtemp(prefix="changes-house-"))
    folder.chmod(0o711)
    coordinator = Coordinator()
    try:
        with agent_process(coordinator, folder / "agent", env=unsaid):
            step = coordinator.offer(a_step("id -un; cat /proc/1/comm"))
            coordinator.final_of(step)
        (enrolment,) = coordinator.enrolments
    finally:
        coordinator.go_away()
        shutil.rmtree(folder)

    account, first_process = lines_of(step.console)
    assert account == ("changes-step" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name)
    assert (first_process == "bwrap") == ("bubblewrap" in enrolment.sandboxes)
    assert "process" in enrolment.sandboxes


# --- which one ----------------------------------------------------------------------------------


def test_the_usual_sandbox_is_bubblewrap_where_it_works() -> None:
    assert choose(a_step("true"), EVERYTHING).kind == "bubblewrap"
    assert choose(a_step("true"), Offered(("process",), ())).kind == "process"
    assert choose(a_step("true"), Offered(EVERYTHING.kinds, (), "process")).kind == "process"


def test_an_image_is_run_by_podman() -> None:
    assert choose(a_step("true", image="tools:1"), EVERYTHING).kind == "podman"
    assert choose(a_step("true", image="base", sandbox="lxc"), EVERYTHING).kind == "lxc"
    assert "needs an image" in choose(a_step("true", sandbox="podman"), EVERYTHING).problem


def test_a_sandbox_that_is_not_here_is_named() -> None:
    problem = choose(a_step("true", sandbox="lxc"), Offered(("process",), ())).problem

    assert problem == "The step asks for the sandbox 'lxc', and this machine has only: process."


def test_strangers_get_no_network_unless_their_plan_says_so() -> None:
    assert not choose(a_step("true", trusted=False), EVERYTHING).has_network
    assert choose(a_step("true", trusted=False, network=True), EVERYTHING).has_network
    assert choose(a_step("true"), EVERYTHING).has_network


@pytest.mark.parametrize(
    ("here", "word"),
    [
        (Offered(("process",), ("memory", "pids")), "in a sandbox only"),
        (Offered(("process", "bubblewrap"), ()), "cannot limit memory"),
        (Offered(("process", "bubblewrap"), ("memory",)), "cannot limit pids"),
    ],
)
def test_strangers_are_refused_where_they_cannot_be_held(here: Offered, word: str) -> None:
    assert word in choose(a_step("true", trusted=False), here).problem


def test_plain_processes_are_the_usual_thing_only_for_whom_they_are_enough() -> None:
    here = Offered(EVERYTHING.kinds, EVERYTHING.limits, "process")

    assert choose(a_step("true", trusted=False), here).kind == "bubblewrap"
    assert choose(a_step("true", network=False), here).kind == "bubblewrap"
    assert choose(a_step("true"), here).kind == "process"


def test_strangers_never_get_a_plain_process() -> None:
    offer = a_step("true", trusted=False, sandbox="process")

    assert "in a sandbox only" in choose(offer, EVERYTHING).problem


def test_strangers_may_ask_for_less_and_not_for_more() -> None:
    assert limits_for(Limits(pids=10), is_trusted=False).pids == 10
    assert limits_for(Limits(pids=10**6), is_trusted=False).pids == STRANGERS_PIDS_MAX
    assert limits_for(Limits(), is_trusted=False).memory_mb > 0
    assert limits_for(Limits(pids=10**6), is_trusted=True).pids == 10**6


def test_variables_are_quoted_for_the_shell_that_starts_a_command() -> None:
    evil = "'; rm -rf / #\n$(touch x)"
    start = Start(["/bin/true", "a b"], Path("/w d"), {"A": evil, "b-c": evil}, Path("/o"), Path("/e"))

    script = bubblewrap.script_of(start)

    quoted = "'" + evil.replace("'", "'\"'\"'") + "'"
    assert f"export A={quoted}\n" in script
    assert "cd '/w d' || exit 126\n" in script
    assert script.endswith("/bin/true 'a b' >/o 2>/e\n")
