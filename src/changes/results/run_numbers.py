"""Numbers of test runs: 63 bits, the second of their batch in front, so that a month is a range of them.

    31 bits: seconds since 2020 | 12 bits: which batch of that second | 20 bits: which run of the batch

They are half as long as a UUID, in the table and in each of its indexes. Outside they look like any other id.
"""

from datetime import UTC, datetime
from uuid import UUID

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
RUN_BITS, SERIAL_BITS = 20, 12
RUNS_MAX = 1 << RUN_BITS
BATCHES_PER_SECOND = 1 << SERIAL_BITS
BATCH_MASK = ~(RUNS_MAX - 1)
NUMBER_MAX = (1 << 63) - 1
NOBODY = -1
SECONDS_MAX = 2**31 - 1
# The version of UUIDs that begin with their time.
TIME_ORDERED = 7
CLOCKS_WRONG_MAX_S = 31 * 24 * 3600


def batch(at: datetime, serial: int) -> int:
    """The number of a batch is that of its first run."""
    seconds = int((at - EPOCH).total_seconds())
    return (seconds << SERIAL_BITS | serial % BATCHES_PER_SECOND) << RUN_BITS


def batch_of(number: int) -> int:
    return number & BATCH_MASK


def least_at(at: datetime) -> int:
    """No run stored at this time or later has a smaller number."""
    return batch(at, 0)


def least_of_build(build_id: UUID) -> int:
    """No run of this build has a smaller number, as its id tells when it was made. A month is left for clocks
    of web servers that are wrong; an id of another kind tells nothing.
    """
    if build_id.version != TIME_ORDERED:
        return 0
    made_s = (build_id.int >> 80) // 1000 - int(EPOCH.timestamp())
    seconds = min(max(0, made_s - CLOCKS_WRONG_MAX_S), SECONDS_MAX)
    return seconds << SERIAL_BITS + RUN_BITS


def made_at(number: int) -> datetime:
    return datetime.fromtimestamp(EPOCH.timestamp() + (number >> RUN_BITS + SERIAL_BITS), UTC)


def outside(number: int) -> UUID:
    return UUID(int=number)


def inside(run_id: UUID) -> int:
    """An id of anything else becomes a number that no run has."""
    return run_id.int if run_id.int <= NUMBER_MAX else NOBODY
