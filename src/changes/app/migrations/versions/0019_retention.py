"""Retention of test runs and pins"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("build", sa.Column("date_pinned", sa.DateTime(timezone=True)))
    op.add_column("build", sa.Column("pinned_by", sa.Text(), nullable=False, server_default=""))
    # Few builds are pinned, and all of them are looked at before anything is dropped.
    columns = ["test_id", "id"]
    op.create_index("ix_test_run_failed", "test_run", columns, postgresql_where=sa.text("result = 2"))
    op.create_index("ix_test_run_rerun", "test_run", columns, postgresql_where=sa.text("reruns > 0"))
    op.create_index("ix_build_pinned", "build", ["id"], postgresql_where=sa.text("date_pinned IS NOT NULL"))
