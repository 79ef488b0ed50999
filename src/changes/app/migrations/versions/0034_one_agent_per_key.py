"""Which run of its agent a machine is known by, and when another one was heard beside it"""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("node", sa.Column("agent_run", sa.Text(), server_default="", nullable=False))
    op.add_column("node", sa.Column("date_twin_heard", sa.DateTime(timezone=True), nullable=True))
