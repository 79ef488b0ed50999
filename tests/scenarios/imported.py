"""What web, worker, agent and command line import, and what their first question to the database configures.

`prepared.py` has it done once, in the process from which it forks them.
"""

import gc
from importlib import import_module

from sqlalchemy.orm import configure_mappers
from tests.scenarios import prepared

from changes.app import plugins

# `changes.app.worker` itself asks for a broker as soon as it is imported.
MODULES = (
    "celery.apps.worker",
    "celery.beat",
    "celery.concurrency.thread",
    "celery.fixups",
    "changes.agent.main",
    "changes.app.broker",
    "changes.app.cli.main",
    "changes.app.schedule",
    "changes.app.web",
    "kombu.transport.redis",
    "uvicorn.loops.uvloop",
    "uvicorn.lifespan.on",
    "uvicorn.protocols.http.httptools_impl",
    # What each of them runs is found by its name.
    prepared.__name__,
)

for module in MODULES:
    import_module(module)
plugins.introduce()
configure_mappers()
# Nobody looks through it for garbage, which would give each process a copy of all of it.
gc.collect()
gc.freeze()
