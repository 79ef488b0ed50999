"""How long things are kept, and room on disk"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "disk_room",
        sa.Column("id", sa.SmallInteger(), primary_key=True, autoincrement=False),
        sa.Column("is_paused", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("sentence", sa.Text(), nullable=False, server_default=""),
        number("used_bytes"),
        number("database_bytes"),
        sa.Column("places", JSONB(), nullable=False, server_default="[]"),
        date("date_measured"),
        date("date_paused", nullable=True),
    )
    op.create_table(
        "disk_use",
        sa.Column("day", sa.Date(), primary_key=True),
        sa.Column("kind", sa.Text(), primary_key=True),
        # Null's place is taken by an id of zeros, for what belongs to no project.
        sa.Column("project_id", sa.Uuid(), primary_key=True),
        number("size_bytes"),
        number("items"),
        date("date_measured"),
    )
    make_clean_ups()
    op.add_column("log_source", sa.Column("date_removed", sa.DateTime(timezone=True)))


def make_clean_ups() -> None:
    op.create_table(
        "clean_up",
        sa.Column("id", sa.Uuid(), primary_key=True),
        date("date_created"),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False, server_default=""),
        number("items"),
        number("size_bytes"),
        number("freed_bytes"),
        number("took_ms"),
    )


def number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")


def date(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)
