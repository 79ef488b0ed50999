"""`<slug>.yaml` of the original, at the top of the repository: flat keys with dots. Pure.

It works beside `.changes.yml`. What it says of Bazel and of removing files was for machines of the
original, and is passed over.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from changes.base.errors import Invalid
from changes.projects import config

IGNORED = "build.file-blacklist"
PAUSE = "build.minimum-minutes-between-builds"
PATTERNS_MAX = 1000
MINUTES_MAX = 7 * 24 * 60


@dataclass(frozen=True)
class OriginalConfig:
    ignored_files: tuple[str, ...] = ()
    pause_min: int = 0


NOTHING = OriginalConfig()


def file_name(slug: str) -> str:
    return f"{slug}.yaml"


def read(text: str, slug: str) -> OriginalConfig:
    """A file that is none, or says nothing, is like no file; one that cannot be read raises Invalid."""
    name = file_name(slug)
    if not text.strip():
        return NOTHING
    if len(text.encode()) > config.SIZE_MAX_BYTES:
        raise Invalid(f"{name} is larger than {config.SIZE_MAX_BYTES // 1024} KiB.")
    data, lines = config.load(text, name)
    if not isinstance(data, dict):
        return NOTHING
    return OriginalConfig(patterns(data, lines, name), minutes(data, lines, name))


def patterns(data: Mapping[str, Any], lines: config.Lines, name: str) -> tuple[str, ...]:
    said = data.get(IGNORED) or []
    is_list = isinstance(said, list) and all(isinstance(each, str) for each in said)
    if not is_list or len(said) > PATTERNS_MAX:
        raise Invalid(
            f"{name} {lines.get((IGNORED,), config.TOP)}: {IGNORED} must be a list of up to"
            f" {PATTERNS_MAX} patterns."
        )
    return tuple(said)


def minutes(data: Mapping[str, Any], lines: config.Lines, name: str) -> int:
    said = data.get(PAUSE) or 0
    if type(said) is not int or not 0 <= said <= MINUTES_MAX:
        raise Invalid(
            f"{name} {lines.get((PAUSE,), config.TOP)}: {PAUSE} must be a whole number up to {MINUTES_MAX}."
        )
    return said
