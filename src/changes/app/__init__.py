"""Puts the pieces together. `celery -A changes.app worker` finds the Celery app here, made when asked for."""

from typing import Any


def __getattr__(name: str) -> Any:
    if name == "celery":
        from changes.app.worker import celery

        return celery
    raise AttributeError(name)
