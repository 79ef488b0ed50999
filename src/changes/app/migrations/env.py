"""How Alembic reaches the database: with time limits, so that a migration never blocks a live system."""

from alembic import context
from sqlalchemy import NullPool, create_engine, text

from changes.app import schema, starting

LOCK_TIMEOUT = "5s"
STATEMENT_TIMEOUT = "10min"


def run() -> None:
    engine = create_engine(
        context.config.attributes.get("url") or starting.database_url(), poolclass=NullPool
    )
    with engine.begin() as connection:
        connection.execute(text(f"set local statement_timeout = '{STATEMENT_TIMEOUT}'"))
        # Two processes that start at once must not both migrate: the second waits for the
        # first, as long as that takes, and then finds nothing to do.
        connection.execute(text("select pg_advisory_xact_lock(hashtext('changes migrations'))"))
        connection.execute(text(f"set local lock_timeout = '{LOCK_TIMEOUT}'"))
        context.configure(
            connection=connection,
            target_metadata=schema.metadata,
            compare_type=True,
            compare_server_default=True,
        )
        context.run_migrations()


run()
