"""What waits in the outbox for those who take many events at once"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("outbox", sa.Column("is_waiting", sa.Boolean(), server_default="false", nullable=False))
    op.create_index("ix_outbox_waiting", "outbox", ["id"], unique=False, postgresql_where="is_waiting")
    op.add_column("log_chunk", sa.Column("times", postgresql.ARRAY(sa.BigInteger()), nullable=True))
