"""Plans: what their steps and jobs may say"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("job", sa.Column("expected_ms", sa.Integer(), nullable=True))
    op.add_column(
        "job_phase",
        sa.Column(
            "data", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
    )
    op.create_table(
        "job_need",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("needs_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["job.id"], name=op.f("fk_job_need_job_id_job"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["needs_id"], ["job.id"], name=op.f("fk_job_need_needs_id_job"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "needs_id", name=op.f("pk_job_need")),
    )
    op.create_index("ix_job_need_needs_id", "job_need", ["needs_id"])
    op.create_table(
        "bazel_target",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("date_created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("step_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("result", sa.SmallInteger(), nullable=False),
        sa.Column("source", sa.SmallInteger(), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=True),
        sa.Column("message", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["job.id"], name=op.f("fk_bazel_target_job_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["step_id"], ["job_step.id"], name=op.f("fk_bazel_target_step_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bazel_target")),
        sa.UniqueConstraint("job_id", "step_id", "name", name=op.f("uq_bazel_target_job_id_step_id_name")),
    )
    op.create_index("ix_bazel_target_step_id", "bazel_target", ["step_id"])
