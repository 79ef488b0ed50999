"""Builds of searches that tell nothing, tests that are flaky on patches, and builds that are being removed"""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "origin_search", sa.Column("is_told", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column("origin_search", sa.Column("lost_ms", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("origin_place", sa.Column("lost_builds", sa.Integer(), server_default="0", nullable=False))
    op.add_column("origin_place", sa.Column("why", sa.Text(), server_default="", nullable=False))
    op.add_column("clean_up", sa.Column("is_done", sa.Boolean(), server_default=sa.true(), nullable=False))
    op.create_table(
        "test_on_patch",
        sa.Column("source_id", sa.Uuid(), nullable=False),
        sa.Column("test_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("flaky", sa.Integer(), nullable=False),
        sa.Column("reruns", sa.Integer(), nullable=False),
        sa.Column("rerun_ms", sa.BigInteger(), nullable=False),
        sa.Column("is_split", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("source_id", "test_id", name="pk_test_on_patch"),
        sa.ForeignKeyConstraint(
            ["source_id"], ["source.id"], name="fk_test_on_patch_source_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name="fk_test_on_patch_project_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_test_on_patch_project", "test_on_patch", ["project_id", "day"])
    op.create_table(
        "build_removal",
        sa.Column("build_id", sa.Uuid(), nullable=False),
        sa.Column("date_created", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("build_id", name="pk_build_removal"),
        sa.ForeignKeyConstraint(
            ["build_id"], ["build.id"], name="fk_build_removal_build_id", ondelete="CASCADE"
        ),
    )
