"""Logs are packed: compressed, with an index of their lines, large ones in the blob store"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("log_source", sa.Column("newlines", sa.BigInteger(), nullable=True))
    op.add_column(
        "log_source", sa.Column("is_packed", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.create_index("ix_log_source_loose", "log_source", ["id"], postgresql_where=sa.text("not is_packed"))
    op.add_column("log_chunk", sa.Column("lines_before", sa.BigInteger(), nullable=True))
    op.add_column("log_chunk", sa.Column("frames", sa.LargeBinary(), nullable=True))
    op.add_column("log_chunk", sa.Column("packed", sa.LargeBinary(), nullable=True))
    op.add_column("log_chunk", sa.Column("key", sa.Text(), nullable=True))
    op.add_column("log_chunk", sa.Column("stored_bytes", sa.BigInteger(), nullable=True))
    op.create_index("ix_log_chunk_key", "log_chunk", ["key"], postgresql_where=sa.text("key is not null"))
    # It is compressed already.
    op.execute("alter table log_chunk alter column packed set storage external")
