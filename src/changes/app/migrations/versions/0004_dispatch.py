"""Handing out: lanes, limits, health of machines"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    turns_and_lanes()
    op.create_table(
        "concurrency_group",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("limit", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("date_created", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_concurrency_group")),
        sa.UniqueConstraint("name", name=op.f("uq_concurrency_group_name")),
    )
    op.add_column("build", sa.Column("is_automatic", sa.Boolean(), server_default="false", nullable=False))
    steps()
    nodes()


def turns_and_lanes() -> None:
    op.create_table(
        "turn",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("virtual_time", sa.Float(), server_default="0", nullable=False),
        sa.Column("clock", sa.Float(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_turn")),
        postgresql_with={"fillfactor": "50"},
    )
    op.create_table(
        "lane",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("is_automatic", sa.Boolean(), nullable=False),
        sa.Column("author_id", sa.Uuid(), nullable=True),
        sa.Column("cluster", sa.Text(), nullable=True),
        sa.Column("labels", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("cpus", sa.Integer(), nullable=False),
        sa.Column("memory_mb", sa.Integer(), nullable=False),
        sa.Column("concurrency_group", sa.Text(), nullable=True),
        sa.Column("class_turn_id", sa.Uuid(), nullable=False),
        sa.Column("project_turn_id", sa.Uuid(), nullable=False),
        sa.Column("person_turn_id", sa.Uuid(), nullable=False),
        sa.Column("typical_s", sa.Float(), nullable=True),
        sa.Column("deviation_s", sa.Float(), nullable=True),
        sa.Column("reserved_node_id", sa.Uuid(), nullable=True),
        sa.Column("reserved_until", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_lane_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lane")),
    )
    op.create_index("ix_lane_project_id", "lane", ["project_id"], unique=False)
    op.create_index(
        "ix_lane_concurrency_group",
        "lane",
        ["concurrency_group"],
        unique=False,
        postgresql_where="concurrency_group IS NOT NULL",
    )


def steps() -> None:
    op.add_column("job_step", sa.Column("lane_id", sa.Uuid(), nullable=True))
    op.add_column("job_step", sa.Column("is_limited", sa.Boolean(), server_default="false", nullable=False))
    op.drop_index("ix_job_step_queue", table_name="job_step")
    op.drop_index("ix_job_step_node_id", table_name="job_step")
    for name, columns, condition in (
        ("ix_job_step_queue", ["lane_id", "id"], "status = 6"),
        ("ix_job_step_arriving", ["id"], "status = 6 AND lane_id IS NULL"),
        ("ix_job_step_running_lane", ["lane_id"], "status IN (2, 5)"),
        ("ix_job_step_running_node", ["node_id"], "status IN (2, 5)"),
    ):
        op.create_index(name, "job_step", columns, unique=False, postgresql_where=condition)
    op.create_index("ix_job_step_node_id", "job_step", ["node_id", "id"], unique=False)


def nodes() -> None:
    op.add_column("node", sa.Column("cpus", sa.Integer(), server_default="0", nullable=False))
    op.add_column("node", sa.Column("memory_mb", sa.Integer(), server_default="0", nullable=False))
    op.add_column("node", sa.Column("state", sa.SmallInteger(), server_default="0", nullable=False))
    op.add_column("node", sa.Column("state_reason", sa.Text(), server_default="", nullable=False))
    op.add_column("node", sa.Column("quarantined_until", MOMENT, nullable=True))
    op.add_column("node", sa.Column("quarantines", sa.Integer(), server_default="0", nullable=False))
    op.add_column("node", sa.Column("date_trusted", MOMENT, nullable=True))
