"""The newest run on each flaky day of a test, and where on the disk numbers of runs are"""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Empty for days that are summed up already: theirs is looked for among the runs.
    op.add_column("test_flaky_day", sa.Column("last_run", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_test_run_place",
        "test_run",
        ["id"],
        postgresql_using="brin",
        postgresql_with={"pages_per_range": 16},
    )
