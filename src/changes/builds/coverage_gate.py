"""How much of the code a job has to run, and what becomes of one that runs less. Pure.

A plan says it for its jobs. Where it says nothing, its project says it for those that report coverage.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from changes.builds import complaints
from changes.builds.complaints import Wrong
from changes.projects.options import (
    COVERAGE_BELOW,
    COVERAGE_MIN,
    COVERAGE_PATCH_MIN,
    COVERAGE_WAYS,
    PERCENT_MAX,
)

# What is kept beside each step of a job that is judged so.
IS_JUDGED = "coverage_gate"
FIELDS = ("min", "patch_min", "below")
WARN = "warn"


@dataclass(frozen=True)
class CoverageGate:
    """In percent: of all lines that can run, and of those that the change adds. None asks nothing."""

    least: int | None = None
    least_of_patch: int | None = None
    below: str = "fail"
    # Then a job without any report is none of its business.
    is_of_project: bool = False

    @property
    def asks(self) -> bool:
        return self.least is not None or self.least_of_patch is not None

    def frozen(self) -> dict[str, Any]:
        return {
            "min": self.least,
            "patch_min": self.least_of_patch,
            "below": self.below,
            "of_project": self.is_of_project,
        }


OPEN = CoverageGate()


def thawed(kept: Mapping[str, Any] | None) -> CoverageGate:
    if not kept:
        return OPEN
    is_of_project = bool(kept.get("of_project", False))
    return CoverageGate(kept.get("min"), kept.get("patch_min"), kept.get("below", "fail"), is_of_project)


def of_options(options: Mapping[str, str], *, is_of_project: bool = False) -> CoverageGate:
    """Of a plan or of a project, which call theirs the same."""
    least, of_patch = (percent(options.get(name, "")) for name in (COVERAGE_MIN, COVERAGE_PATCH_MIN))
    return CoverageGate(least, of_patch, options.get(COVERAGE_BELOW) or "fail", is_of_project)


def percent(text: str) -> int | None:
    """Options were checked when they were stored; what is none was stored by somebody else."""
    is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(PERCENT_MAX))
    return int(text) if is_number and int(text) <= PERCENT_MAX else None


def of_keys(said: Mapping[str, Any] | None) -> CoverageGate:
    """The caller has seen that nothing is wrong with it."""
    said = said or {}
    return CoverageGate(said.get("min"), said.get("patch_min"), said.get("below", "fail"))


def wrong(said: Any) -> list[Wrong]:
    if said is None:
        return []
    way = ("coverage",)
    if not isinstance(said, dict):
        return [Wrong(way, f"coverage must be a mapping of {', '.join(FIELDS)}")]
    found = complaints.unknown_names(said, FIELDS, way)
    found += complaints.wrong_number(said, "min", PERCENT_MAX, way)
    found += complaints.wrong_number(said, "patch_min", PERCENT_MAX, way)
    if said.get("below", WARN) not in COVERAGE_WAYS:
        found.append(Wrong((*way, "below"), f"below must be one of {', '.join(COVERAGE_WAYS)}"))
    return found
