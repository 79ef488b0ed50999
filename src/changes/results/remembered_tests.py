"""Numbers of tests that a process has met before: of most reports all, as builds of a project run the same.
A test keeps its number for ever, so what was committed once stays right.

But for a database that was put back to an earlier day while we ran: it has lost the newest of them first, so
whoever uses them asks whether the newest one is still what it was (identities.py).
"""

from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock
from types import MappingProxyType
from uuid import UUID

# All names of all projects together, with what Python needs around each: some 150,000 tests.
BYTES_MAX, BYTES_AROUND = 32 * 1024 * 1024, 160
NOTHING: Mapping[str, int] = MappingProxyType({})


class RememberedTests:
    """By project; that which was not used for the longest time goes first."""

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._lock = Lock()
        self._numbers: OrderedDict[UUID, dict[str, int]] = OrderedDict()
        self._bytes: dict[UUID, int] = {}

    def of(self, project_id: UUID) -> Mapping[str, int]:
        """By name. Others may add to it meanwhile."""
        with self._lock:
            if project_id not in self._numbers:
                return NOTHING
            self._numbers.move_to_end(project_id)
            return self._numbers[project_id]

    def learn(self, project_id: UUID, numbers: Mapping[str, int]) -> None:
        """Of what is committed."""
        with self._lock:
            known = self._numbers.setdefault(project_id, {})
            self._numbers.move_to_end(project_id)
            new = numbers.keys() - known.keys()
            known.update(numbers)
            self._bytes[project_id] = (
                self._bytes.get(project_id, 0) + sum(map(len, new)) + BYTES_AROUND * len(new)
            )
            while sum(self._bytes.values()) > self._bytes_max:
                del self._bytes[self._numbers.popitem(last=False)[0]]

    def forget(self, project_id: UUID) -> None:
        with self._lock:
            self._numbers.pop(project_id, None)
            self._bytes.pop(project_id, None)


remembered = RememberedTests()
