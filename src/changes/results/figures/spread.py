"""How long most of many things took, from how many took about how long. Pure.

Each bucket ends at 2^(1/4) times its beginning, so what is told is right within a tenth, and the buckets
of any days, plans and projects can be added up: medians cannot.
"""

import math
from collections.abc import Mapping

# Of the logarithm by which SQL finds the bucket (counting.py).
STEPS_PER_DOUBLING = 4
LEAST_MS = 1


def bounds_ms(bucket: int) -> tuple[float, float]:
    """Bucket 0 is what took no millisecond."""
    if bucket <= 0:
        return 0.0, 0.0
    return 2 ** ((bucket - 1) / STEPS_PER_DOUBLING), 2 ** (bucket / STEPS_PER_DOUBLING)


def bucket_of(ms: int) -> int:
    """As counting.py finds it in SQL."""
    return 0 if ms < LEAST_MS else math.floor(STEPS_PER_DOUBLING * math.log2(ms)) + 1


def percentile_ms(spread: Mapping[int, int], percent: float) -> float | None:
    """So long or shorter it was for so many of a hundred; None where there is nothing."""
    total = sum(spread.values())
    if not total:
        return None
    wanted, before = total * percent / 100, 0
    for bucket, count in sorted(spread.items()):
        if before + count >= wanted:
            least, most = bounds_ms(bucket)
            return least + (most - least) * max(0.0, wanted - before) / count
        before += count
    return bounds_ms(max(spread))[1]
