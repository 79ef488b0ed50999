"""Chance that comes out the same for the same seed."""

import random
from collections.abc import Sequence
from datetime import timedelta
from typing import TypeVar

Thing = TypeVar("Thing")


class Dice(random.Random):
    def chance(self, probability: float) -> bool:
        return self.random() < probability

    def pick(self, things: Sequence[Thing], weights: Sequence[float]) -> Thing:
        return self.choices(things, weights)[0]

    def around(self, mean: float, spread: float = 0.2) -> float:
        """Near the mean, never below zero, now and then far above: as durations are."""
        return mean * self.lognormvariate(0, spread)

    def pause(self, mean_s: float) -> timedelta:
        return timedelta(seconds=self.expovariate(1 / mean_s))

    def sha(self) -> str:
        return f"{self.getrandbits(160):040x}"

    def digest(self) -> str:
        """In place of the digest of a secret: nobody knows the secret, so it opens nothing."""
        return f"{self.getrandbits(256):064x}"
