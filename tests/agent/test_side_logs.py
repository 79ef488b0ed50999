"""Logs beside the console are sent as they grow, and tell when their bytes were read."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from changes.agent.side_logs import Carrier


@dataclass
class Link:
    """The far side: takes all that comes."""

    step_id: str = "a step"
    log_chunk_max_bytes: int = 3
    sent: list[tuple[str, int, bytes, str]] = field(default_factory=list)

    def append_log(self, name: str, offset: int, data: bytes, times: str = "") -> int:
        self.sent.append((name, offset, data, times))
        return offset + len(data)


@pytest.fixture
def link() -> Link:
    return Link()


def test_each_piece_tells_when_it_was_read(link: Link, tmp_path: Path) -> None:
    path = tmp_path / "server.log"
    path.write_bytes(b"one\ntwo\n")
    far_side: Any = link
    carrier = Carrier("server.log", path, far_side, lambda error: pytest.fail(str(error)))

    carrier.grew(4)
    carrier.grew(8)
    carrier.finish()

    assert b"".join(data for _, _, data, _ in link.sent) == b"one\ntwo\n"
    assert all(name == "server.log" and times.startswith("0:") for name, _, _, times in link.sent)
