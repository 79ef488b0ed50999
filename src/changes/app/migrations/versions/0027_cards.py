"""Cards that steps post"""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "card",
        sa.Column("id", sa.Uuid(), primary_key=True),
        date("date_created"),
        below("build_id", "build.id"),
        below("step_id", "job_step.id"),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("style", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False, server_default=""),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False, server_default="1"),
        date("date_modified"),
        sa.UniqueConstraint("build_id", "key"),
    )
    op.create_index("ix_card_step_id", "card", ["step_id"])


def below(name: str, other: str) -> sa.Column[object]:
    return sa.Column(name, sa.Uuid(), sa.ForeignKey(other, ondelete="CASCADE"), nullable=False)


def date(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False)
