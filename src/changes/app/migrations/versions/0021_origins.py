"""Second looks and origins"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "origin_search",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("date_created", sa.DateTime(timezone=True), nullable=False),
        below("project", sa.Uuid()),
        below("test", sa.Integer()),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        text("good_sha"),
        text("bad_sha"),
        text("plan", default=True),
        sa.Column("parallel", sa.Integer(), nullable=False),
        text("asked_by", default=True),
        sa.Column("culprit_sha", sa.Text()),
        text("why", default=True),
        sa.Column("date_finished", sa.DateTime(timezone=True)),
    )
    op.create_index("ix_origin_search_project", "origin_search", ["project_id", "id"])
    op.create_index("ix_origin_search_test", "origin_search", ["test_id", "id"])
    is_known, is_open = sa.text("culprit_sha IS NOT NULL"), sa.text("state = 0")
    op.create_index("ix_origin_search_culprit", "origin_search", ["culprit_sha"], postgresql_where=is_known)
    op.create_index("ix_origin_search_open", "origin_search", ["id"], postgresql_where=is_open)
    make_places()


def make_places() -> None:
    op.create_table(
        "origin_place",
        sa.Column(
            "search_id", sa.Uuid(), sa.ForeignKey("origin_search.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("place", sa.Integer(), primary_key=True, autoincrement=False),
        text("sha"),
        sa.Column("verdict", sa.SmallInteger(), nullable=False),
        sa.Column("build_id", sa.Uuid(), sa.ForeignKey("build.id", ondelete="SET NULL")),
        sa.Column("is_ours", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.create_index("ix_origin_place_build_id", "origin_place", ["build_id"])


def below(table: str, kind: sa.types.TypeEngine[object]) -> sa.Column[object]:
    return sa.Column(f"{table}_id", kind, sa.ForeignKey(f"{table}.id", ondelete="CASCADE"), nullable=False)


def text(name: str, *, default: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False, server_default="" if default else None)
