"""What a plan says about what is kept between its steps: caches, and the folders of its snapshots. Pure."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from changes.builds import complaints
from changes.builds.complaints import Way, Wrong
from changes.protocol import CacheOffer

KEPT = ("cache", "snapshot")
CACHE_FIELDS = ("key", "paths", "restore_keys")
CACHES_MAX, PATHS_MAX, KEY_MAX = 20, 50, 512


def wrong_keeping(data: Mapping[str, Any]) -> list[Wrong]:
    return wrong_snapshot(data) + wrong_caches(data.get("cache"))


def wrong_snapshot(data: Mapping[str, Any]) -> list[Wrong]:
    if data.get("snapshot") is None:
        return []
    wrong = complaints.wrong_texts(data, "snapshot", "paths")
    return wrong or wrong_paths(data["snapshot"], ("snapshot",), may_be_of_machine=True)


def wrong_paths(paths: list[str], way: Way, *, may_be_of_machine: bool) -> list[Wrong]:
    if len(paths) > PATHS_MAX:
        return [Wrong(way, f"at most {PATHS_MAX} paths")]
    return [
        Wrong((*way, place), problem)
        for place, path in enumerate(paths)
        if (problem := problem_of_path(path, may_be_of_machine=may_be_of_machine))
    ]


def problem_of_path(path: str, *, may_be_of_machine: bool) -> str:
    pure = PurePosixPath(path)
    if not path or ".." in pure.parts or not path.isprintable():
        return f"{path!r} must be a path without .."
    if pure.is_absolute() and (not may_be_of_machine or str(pure) == "/"):
        return f"{path!r} must lie below the checkout, or begin with ~/"
    return ""


def wrong_caches(caches: Any) -> list[Wrong]:
    if caches is None:
        return []
    if not isinstance(caches, list) or len(caches) > CACHES_MAX:
        return [Wrong(("cache",), f"cache must be a list of at most {CACHES_MAX} mappings")]
    return [wrong for place, cache in enumerate(caches) for wrong in wrong_cache(cache, ("cache", place))]


def wrong_cache(cache: Any, way: Way) -> list[Wrong]:
    if not isinstance(cache, dict):
        return [Wrong(way, f"must be a mapping of {', '.join(CACHE_FIELDS)}")]
    wrong = complaints.unknown_names(cache, CACHE_FIELDS, way)
    key = cache.get("key")
    if not isinstance(key, str) or not key.strip() or len(key) > KEY_MAX or not key.isprintable():
        wrong.append(Wrong((*way, "key"), f"key must be one line of at most {KEY_MAX} letters"))
    texts = complaints.wrong_texts(cache, "paths", "paths", way)
    texts += complaints.wrong_texts(cache, "restore_keys", "beginnings of keys", way)
    if texts:
        return wrong + texts
    if not cache.get("paths"):
        wrong.append(Wrong((*way, "paths"), "paths are missing"))
    return wrong + wrong_paths(cache.get("paths", []), (*way, "paths"), may_be_of_machine=False)


def caches_of(data: Mapping[str, Any]) -> list[CacheOffer]:
    """Of a step."""
    return [
        CacheOffer(key=each["key"], paths=each["paths"], restore_keys=each.get("restore_keys", []))
        for each in data.get("cache") or []
    ]
