"""What the coordinator learned later"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("build", sa.Column("asked_by", sa.Text(), server_default="", nullable=False))
    op.create_index(
        "ix_build_asked_by",
        "build",
        [sa.text("lower(asked_by)"), "id"],
        postgresql_where=sa.text("asked_by <> ''"),
    )
    # A step that was set aside is its own successor, beside being that of the one before it.
    op.drop_constraint("uq_job_step_replacement_id", "job_step")
    op.create_index("ix_job_step_replacement_id", "job_step", ["replacement_id"])
    op.create_table(
        "expansion",
        sa.Column("step_id", sa.Uuid(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("is_read", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.ForeignKeyConstraint(
            ["step_id"], ["job_step.id"], name=op.f("fk_expansion_step_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("step_id", name=op.f("pk_expansion")),
    )
