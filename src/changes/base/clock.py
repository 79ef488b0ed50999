"""The one place that asks what time it is; points in time always carry their zone, UTC."""

from datetime import UTC, datetime, timedelta


def now() -> datetime:
    return datetime.now(UTC)


def milliseconds(count: int) -> timedelta:
    return timedelta(milliseconds=count)
