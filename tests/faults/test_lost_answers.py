"""An agent is given a step, and does not hear of it: the line dies between commit and answer."""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from tests.faults.gates import plan, results
from tests.faults.proxy import Proxy
from tests.scenarios.running import Part, RunningSystem, eventually

pytestmark = pytest.mark.system
CLUSTER = "behind-a-proxy"


@dataclass
class Behind:
    """An agent of our own, whose line to the server is in our hands."""

    system: RunningSystem
    proxy: Proxy

    def build(self) -> str:
        return self.system.api.build(self.system.project(plan("echo hello", cluster=CLUSTER)))


@pytest.fixture
def behind(system: RunningSystem) -> Iterator[Behind]:
    proxy = Proxy(("127.0.0.1", urlsplit(system.url).port or 0))
    home = system.home / "agent-behind"
    words = ("agent", "--server", proxy.url, "--home", str(home), "--name", "behind", "--slots", "2")
    token = system.api.post("/agents/tokens/")["token"]
    env = {**system.agent.env, "CHANGES_ENROL_TOKEN": token}
    agent = Part("behind", (*words, "--label", f"cluster={CLUSTER}"), env, system.home / "behind.log")
    agent.start()
    try:
        yield Behind(system, proxy)
    finally:
        proxy.mend()
        agent.stop()
        agent.kill()
        proxy.close()


def test_a_step_is_done_by_whom_it_was_given_to_although_the_answer_was_cut(behind: Behind) -> None:
    api = behind.system.api
    assert api.finished(behind.build())["result"]["id"] == "passed"
    behind.proxy.mute()
    lost = behind.build()
    eventually(lambda: [each["status"]["id"] for each in api.attempts(lost)] == ["allocated"])

    behind.proxy.cut()
    behind.proxy.mend()

    assert api.finished(lost)["result"]["id"] == "passed"
    assert results(api.attempts(lost)) == ["passed"]
