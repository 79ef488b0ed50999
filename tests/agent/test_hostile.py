"""Steps that mean harm: to the machine, to the agent, to what others keep on it."""

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.agent.contained import IMAGES, a_house_of_containers
from tests.agent.housed import IDENTITY, House, a_house, host_processes_with, refused_here
from tests.agent.running import a_step, eventually

from changes.protocol import Limits

# Sandboxes within a sandbox are another matter: not in the fast half, which is also our first build.
pytestmark = pytest.mark.system

# A test without a sandbox could hurt the machine it runs on.
HELD = Limits(memory_mb=200, pids=64)
# The beginning and the end of a log that may have 1 MB, with what the agent says.
LOG_WITH_END_MAX = 2**20 + 4 * 2**20 + 2000
GROWTH_MAX_KB = 100_000
TEN_GIGABYTES_WITHIN_S = 1200.0
PTRACE = """python3 - <<'END'
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
print("attached" if libc.ptrace(16, {pid}, 0, 0) == 0 else "kept out")
END"""


# What runs in containers has no Python, and starts in seconds.
with_python = pytest.mark.parametrize("house", ["process", "bubblewrap"], indirect=True)
CONTAINERS = [pytest.param(kind, marks=pytest.mark.long) for kind in IMAGES]
MEMORY_BOMB = "python3 -c 'x = []\nwhile True: x.append(bytearray(1 << 20))'"
MEMORY_BOMB_OF_A_SHELL = "x=x; while :; do x=$x$x; done"


@pytest.fixture(scope="module", params=["process", "bubblewrap", *CONTAINERS])
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    if request.param in IMAGES:
        with a_house_of_containers(request.param, tmp_path_factory.mktemp("containers")) as house:
            yield house
        return
    with a_house(request.param) as house:
        yield house


def is_well(house: House) -> bool:
    """The agent goes on with other steps as if nothing had been."""
    return house.run(a_step("true"))[1].result == "passed"


def is_held(house: House) -> bool:
    return house.works and {"memory", "pids"} <= set(house.housing.trees.limits)


def test_a_fork_bomb_is_held_and_ended(house: House) -> None:
    script = "bomb() { bomb | bomb & }; bomb; wait"
    if not is_held(house):
        # Without limits nobody lets such a thing in, whoever wrote it.
        _, report = house.run(a_step("true", trusted=False))
        assert report.reason == "sandbox_missing"
        return

    step = house.offer(a_step(script, limits=HELD, timeout_s=5.0 if house.image else 0.5))

    house.coordinator.final_of(step)
    assert is_well(house)


def test_a_memory_bomb_is_ended_and_named(house: House) -> None:
    if not is_held(house):
        assert house.run(a_step("true", trusted=False))[1].reason == "sandbox_missing"
        return

    script = MEMORY_BOMB_OF_A_SHELL if house.image else MEMORY_BOMB
    _, report = house.run(a_step(script, limits=HELD, timeout_s=60.0))

    assert report.result == "failed"
    # In a container the system does not say so; that it was killed is told all the same.
    assert report.reason == "out_of_memory" or (house.image and report.commands[0].return_code == -9)
    assert is_well(house)


def test_the_environment_of_the_agent_cannot_be_read(house: House) -> None:
    script = f"cat /proc/{os.getpid()}/environ > /dev/null 2>&1 && echo read || echo kept out"

    step, report = house.run(a_step(script))

    if not house.works:
        assert refused_here(report)
    elif house.is_apart:
        assert "\nkept out\n" in step.console
    else:
        assert report.result == "passed"


@with_python
def test_nothing_attaches_to_the_agent(house: House) -> None:
    if not house.is_apart:
        assert house.housing.account.is_own
        return

    step, report = house.run(a_step(PTRACE.format(pid=os.getpid())))

    if not house.works:
        assert refused_here(report)
        return
    assert "\nkept out\n" in step.console


def test_the_agent_cannot_be_killed(house: House) -> None:
    if not house.is_apart:
        assert house.housing.account.is_own
        return

    # Signal 0 asks whether another one would arrive.
    step, report = house.run(a_step(f"kill -0 {os.getpid()} 2>/dev/null && echo reached || echo kept out"))

    if not house.works:
        assert refused_here(report)
        return
    assert "\nkept out\n" in step.console
    assert is_well(house)


def test_what_the_agent_keeps_is_neither_read_nor_written(house: House) -> None:
    identity = house.home / "identity.json"
    script = (
        f"cat {identity}; ls {house.home}; echo x > {identity}; ln {identity} stolen; ls {house.home}/mirrors"
    )

    step, report = house.run(a_step(f"({script}) || true"))

    if not house.works:
        assert refused_here(report)
        return
    assert identity.read_text() == IDENTITY
    if house.is_apart:
        assert "of-the-agent" not in step.console


def test_nothing_is_written_outside_of_the_step(house: House, tmp_path: Path) -> None:
    if not house.is_apart:
        assert house.housing.account.is_own
        return

    places = [
        "/etc/changes-was-here",
        "/usr/bin/changes-was-here",
        str(house.home / "here"),
        str(tmp_path / "x"),
    ]
    step, report = house.run(
        a_step(f"for p in {' '.join(places)}; do touch $p 2>/dev/null && echo $p; done; true")
    )

    if not house.works:
        assert refused_here(report)
        return
    # In a private system a file may be made where nobody else sees it.
    assert not any(Path(place).exists() for place in places), step.console


def test_a_link_among_the_logs_leads_nowhere(house: House) -> None:
    script = (
        "cd $CHANGES_LOGS; ln -s /etc/passwd users; mkfifo pipe; mkdir folder; echo a > good; echo b > ..x"
    )

    step, report = house.run(a_step(script))

    if not house.works:
        assert refused_here(report)
        return
    assert set(step.logs) - {"console"} == {"good"}


def test_only_so_many_further_logs_are_taken(house: House) -> None:
    step, report = house.run(a_step("for i in $(seq 100); do echo $i > $CHANGES_LOGS/log$i; done"))

    if not house.works:
        assert refused_here(report)
        return
    assert len(step.logs) == 21


def test_endless_output_is_cut_and_the_cut_is_said(house: House) -> None:
    script = "echo first; head -c 200000000 /dev/zero | tr '\\0' x; echo; echo last"

    step, report = house.run(a_step(script, limits=Limits(log_mb=1)))

    if not house.works:
        assert refused_here(report)
        return
    assert report.result == "passed"
    assert len(step.console) < 2**20 + 2000
    assert "\nfirst\n" in step.console
    assert "only its end is kept" in step.console
    assert "bytes were left out here" in step.console
    assert "\nlast\n" in step.console[-200:]


@pytest.mark.long
def test_ten_gigabytes_of_output_take_neither_disk_nor_memory(house: House) -> None:
    lines = "yes 'a line as the tests of somebody print it all day long' | head -c 10000000000"
    # Its small programs take minutes for that, and this is worse: there is no end of a line.
    one_line = "dd if=/dev/zero bs=1000000 count=10000 2>/dev/null"
    script = f"echo first; {one_line if house.image else lines}; echo; echo last"
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    step = house.offer(a_step(script, limits=Limits(log_mb=1)))
    house.coordinator.wait_for(lambda: step.final, TEN_GIGABYTES_WITHIN_S)
    report = house.coordinator.final_of(step)

    if not house.works:
        assert refused_here(report)
        return
    assert report.result == "passed"
    assert len(step.console) < LOG_WITH_END_MAX
    assert "\nfirst\n" in step.console
    assert "bytes were left out here" in step.console
    assert "\nlast\n" in step.console[-200:]
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb
    assert grown_kb < GROWTH_MAX_KB


@pytest.mark.parametrize(
    "start",
    [
        "setsid sleep {word} > /dev/null 2>&1 < /dev/null &",
        "(setsid sh -c 'sleep {word} & exec env -i sleep {word}' > /dev/null 2>&1 &) ; true",
        "env -i setsid sh -c 'exec > /dev/null 2>&1; (sleep {word} &)' & wait",
    ],
    ids=["session", "double fork", "without environment"],
)
def test_no_daemon_outlives_its_step(house: House, start: str) -> None:
    word = f"8{id(house) % 10**6:06d}{len(start):03d}.25"

    _, report = house.run(a_step(start.format(word=word)))

    if not house.works:
        assert refused_here(report)
        return
    assert report.result == "passed"
    eventually(lambda: not host_processes_with(word))


def test_a_command_that_closes_its_output_is_waited_for(house: House) -> None:
    step, report = house.run(a_step("exec >&- 2>&-; sleep 0.2; exit 5"))

    if not house.works:
        assert refused_here(report)
        return
    assert report.commands[0].return_code == 5
    assert "[exit code 5" in step.console


@with_python
def test_output_that_does_not_block_does_not_disturb_the_agent(house: House) -> None:
    script = "python3 -c 'import os; os.set_blocking(1, False)'; echo fine"

    step, report = house.run(a_step(script, "echo next"))

    if not house.works:
        assert refused_here(report)
        return
    assert report.result == "passed"
    assert "\nfine\n" in step.console
    assert "\nnext\n" in step.console


def test_a_step_that_kills_all_it_can_kills_itself_alone(house: House) -> None:
    if house.kind == "process":
        # There it would reach whatever runs under its account: the steps of other tests as well.
        assert not house.run(a_step("true", trusted=False))[1].commands
        return

    # Whoever kills all is spared itself, and has only killed what holds it: but for LXC, where that is root.
    is_spared = house.kind == "lxc"
    _, report = house.run(a_step("kill -9 -1; sleep 600", timeout_s=5.0 if is_spared else None))

    if not house.works:
        assert refused_here(report)
        return
    assert report.reason == "timeout" if is_spared else report.commands[0].return_code == -9
    assert is_well(house)


def test_a_full_tmp_is_the_problem_of_its_step(house: House) -> None:
    before = set(Path("/tmp").iterdir())

    script = "head -c 80000000 /dev/zero > /tmp/$CHANGES_STEP_MARK; ls -l /tmp/$CHANGES_STEP_MARK"
    _, report = house.run(a_step(f"({script}) || true; rm -f /tmp/$CHANGES_STEP_MARK", limits=HELD))

    if not house.works:
        assert refused_here(report)
        return
    mine = {path for path in set(Path("/tmp").iterdir()) - before if len(path.name) == 32}
    assert not mine
    assert is_well(house)


def test_strangers_get_no_secrets_whatever_the_server_sends(house: House) -> None:
    step, report = house.run(a_step("env", trusted=False, secrets={"TOKEN": "swordfish-12345"}))

    if report.reason != "sandbox_missing":
        assert report.result == "passed"
    assert "TOKEN=" not in step.console
