"""What the pages of the queue need"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_task_failed", "task", ["id"], postgresql_where=sa.text("state = 4"))
    # Few steps are lost; without this all of a week are looked at to find them.
    op.create_index("ix_job_step_lost_ones", "job_step", ["id"], postgresql_where=sa.text("result = 6"))
