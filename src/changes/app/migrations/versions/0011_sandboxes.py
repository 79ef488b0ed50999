"""Sandboxes, limits and secrets of steps"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "build", sa.Column("is_trusted", sa.Boolean(), server_default=sa.text("true"), nullable=False)
    )
    op.add_column("command", sa.Column("cpu_ms", sa.BigInteger(), nullable=True))
    op.add_column("command", sa.Column("peak_memory_kb", sa.BigInteger(), nullable=True))
    op.create_table(
        "project_secret",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("date_modified", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("date_created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_project_secret_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_project_secret")),
        sa.UniqueConstraint("project_id", "name", name=op.f("uq_project_secret_project_id_name")),
    )
