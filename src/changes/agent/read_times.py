"""When which bytes of a log were read, as far back as it matters.

What is told is how long ago that was, so a wrong clock of this machine changes nothing.
"""

import threading
import time
from collections import deque

# Reads that follow each other so closely count as one.
APART_S = 0.01
KEPT_MAX = 20_000
TOLD_MAX = 256


class ReadTimes:
    """Noted by the thread that reads, told by the one that sends."""

    def __init__(self) -> None:
        self._marks: deque[tuple[int, float]] = deque(maxlen=KEPT_MAX)
        self._lock = threading.Lock()

    def note(self, offset: int) -> None:
        """Now, the bytes from this one on were read."""
        now = time.monotonic()
        with self._lock:
            if not self._marks or now - self._marks[-1][1] >= APART_S:
                self._marks.append((offset, now))

    def told(self, start: int, end: int) -> str:
        """Of a piece that is sent now: `byte of it:milliseconds ago`, several of them; older ones are
        forgotten. Of very many the pauses are kept.
        """
        now = time.monotonic()
        with self._lock:
            while len(self._marks) > 1 and self._marks[1][0] <= start:
                self._marks.popleft()
            mine = [(max(start, offset), at) for offset, at in self._marks if offset < end]
        thinned = mine[:: len(mine) // TOLD_MAX + 1]
        return ",".join(f"{offset - start}:{round(1000 * (now - at))}" for offset, at in thinned)
