"""`<slug>.yaml` of the original, at the top of the repository: flat keys with dots. Pure.

It works beside `.changes.yml`. What it says of Bazel is for plans with the option bazel.autogenerate.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from changes.base.errors import Invalid
from changes.projects import config

IGNORED = "build.file-blacklist"
REMOVES = "build.remove-blacklisted-files"
PAUSE = "build.minimum-minutes-between-builds"
TARGETS, EXCLUDED_TAGS, FLAGS = "bazel.targets", "bazel.exclude-tags", "bazel.additional-test-flags"
CPUS, MEMORY, EXECUTORS = "bazel.cpus", "bazel.mem", "bazel.max-executors"
SELECTIVE, DEPENDENCIES = "bazel.selective-testing-enabled", "bazel.dependencies"
PATTERNS_MAX = 1000
TEXT_MAX = 500
MINUTES_MAX = 7 * 24 * 60
# Least and most, as the original had them; memory in MB.
CPUS_BETWEEN, MEMORY_BETWEEN, EXECUTORS_BETWEEN = (1, 16), (1024, 16384), (1, 10)
# Other flags would let a repository have files of its machine sent elsewhere.
FLAG = re.compile(r"--test_env=[A-Za-z0-9=]+|--test_arg=\S+|--define=\S+")
TAG = re.compile(r"[A-Za-z0-9_.:+-]+")
PACKAGE = re.compile(r"[A-Za-z0-9_.+-]+")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class BazelConfig:
    targets: tuple[str, ...]
    excluded_tags: tuple[str, ...]
    test_flags: tuple[str, ...]
    cpus: int
    memory_mb: int
    max_executors: int
    is_selective: bool
    packages: tuple[str, ...]


@dataclass(frozen=True)
class OriginalConfig:
    ignored_files: tuple[str, ...] = ()
    pause_min: int = 0
    removes_ignored: bool = False


NOTHING = OriginalConfig()


def file_name(slug: str) -> str:
    return f"{slug}.yaml"


def read(text: str, slug: str) -> OriginalConfig:
    """A file that is none, or says nothing, is like no file; one that cannot be read raises Invalid."""
    said = Said.of(text, slug)
    return OriginalConfig(
        said.texts(IGNORED, []), said.number(PAUSE, 0, (0, MINUTES_MAX)), said.flag(REMOVES)
    )


def read_bazel(text: str, slug: str) -> BazelConfig:
    """Raises Invalid where it does not say what is to be tested, too."""
    said = Said.of(text, slug)
    targets = said.texts(TARGETS, [])
    if not targets:
        raise Invalid(f"{said.name} {said.place_of(TARGETS)}: {TARGETS} must name what is to be tested.")
    return BazelConfig(
        targets=targets,
        excluded_tags=said.matching(EXCLUDED_TAGS, ["manual"], TAG),
        test_flags=said.matching(FLAGS, [], FLAG),
        cpus=said.number(CPUS, 4, CPUS_BETWEEN),
        memory_mb=said.number(MEMORY, 8192, MEMORY_BETWEEN),
        max_executors=said.number(EXECUTORS, 1, EXECUTORS_BETWEEN),
        is_selective=said.flag(SELECTIVE),
        packages=said.packages(),
    )


@dataclass(frozen=True)
class Said:
    """Each complaint names the file, the line and the key."""

    name: str
    data: Mapping[str, Any]
    lines: config.Lines

    @classmethod
    def of(cls, text: str, slug: str) -> "Said":
        name = file_name(slug)
        if len(text.encode()) > config.SIZE_MAX_BYTES:
            raise Invalid(f"{name} is larger than {config.SIZE_MAX_BYTES // 1024} KiB.")
        data, lines = config.load(text, name) if text.strip() else ({}, {})
        return cls(name, data if isinstance(data, dict) else {}, lines)

    def place_of(self, key: str) -> config.Place:
        return self.lines.get((key,), config.TOP)

    def refuse(self, key: str, must_be: str) -> Invalid:
        return Invalid(f"{self.name} {self.place_of(key)}: {key} must be {must_be}.")

    def texts(self, key: str, usual: list[str]) -> tuple[str, ...]:
        said = self.data.get(key, usual) or []
        is_list = isinstance(said, list) and all(isinstance(each, str) for each in said)
        if not is_list or len(said) > PATTERNS_MAX:
            raise self.refuse(key, f"a list of up to {PATTERNS_MAX} patterns")
        if any(len(each) > TEXT_MAX or CONTROL.search(each) for each in said):
            raise self.refuse(key, f"a list of lines of up to {TEXT_MAX} characters")
        return tuple(said)

    def matching(self, key: str, usual: list[str], allowed: re.Pattern[str]) -> tuple[str, ...]:
        said = self.texts(key, usual)
        wrong = next((each for each in said if allowed.fullmatch(each) is None), None)
        if wrong is not None:
            raise self.refuse(key, f"a list of what is allowed, and {wrong[:80]!r} is not")
        return said

    def number(self, key: str, usual: int, between: tuple[int, int]) -> int:
        said = self.data.get(key)
        least, most = between
        if said is None:
            return usual
        if type(said) is not int or not least <= said <= most:
            raise self.refuse(key, f"a whole number from {least} to {most}")
        return said

    def flag(self, key: str) -> bool:
        said = self.data.get(key) or False
        if type(said) is not bool:
            raise self.refuse(key, "true or false")
        return said

    def packages(self) -> tuple[str, ...]:
        said = self.data.get(DEPENDENCIES) or {}
        if not isinstance(said, dict) or set(said) - {"encap"}:
            raise self.refuse(DEPENDENCIES, "a mapping of encap to names")
        names = said.get("encap") or []
        if not isinstance(names, list) or not all(
            isinstance(each, str) and PACKAGE.fullmatch(each) for each in names[:PATTERNS_MAX]
        ):
            raise self.refuse(DEPENDENCIES, "a mapping of encap to names of packages")
        return tuple(names[:PATTERNS_MAX])
