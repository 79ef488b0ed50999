"""A worker's Celery app with one task more: `celery -A tests.app.gated_tasks worker`."""

from tests.app import gates

from changes.app.worker import celery

__all__ = ["celery", "gates"]
