"""What makes builds by itself"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

EMPTY = sa.text("'{}'")


def upgrade() -> None:
    op.add_column("build", sa.Column("wishes", postgresql.JSONB(), server_default=EMPTY, nullable=False))
    make_decisions()
    make_schedules()
    make_hooks()


def of_a_project(*columns: sa.Column[object]) -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("id", sa.Uuid(), nullable=False, primary_key=True),
        sa.Column("date_created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("project_id", sa.Uuid(), sa.ForeignKey("project.id", ondelete="CASCADE"), nullable=False),
        *columns,
    ]


def text(name: str, *, default: str | None = None) -> sa.Column[object]:
    return sa.Column(name, sa.Text(), nullable=False, server_default=default)


def make_decisions() -> None:
    op.create_table(
        "trigger_decision",
        *of_a_project(
            text("sha"),
            text("kind"),
            text("key", default=""),
            sa.Column("is_wanted", sa.Boolean(), nullable=False),
            text("why"),
            sa.Column("facts", postgresql.JSONB(), nullable=False),
            sa.Column("plans", postgresql.JSONB(), nullable=False),
            sa.Column("build_id", sa.Uuid(), sa.ForeignKey("build.id", ondelete="SET NULL"), nullable=True),
        ),
        sa.UniqueConstraint("project_id", "sha", "kind", "key"),
    )
    op.create_index("ix_trigger_decision_build_id", "trigger_decision", ["build_id"])
    op.create_index("ix_trigger_decision_newest", "trigger_decision", ["project_id", "id"])
    op.create_index("ix_trigger_decision_created", "trigger_decision", ["date_created"])


def make_schedules() -> None:
    false, true = sa.text("false"), sa.text("true")
    op.create_table(
        "build_schedule",
        *of_a_project(
            text("name"),
            text("cron"),
            text("zone"),
            text("branch", default=""),
            sa.Column("jitter_s", sa.Integer(), server_default="0", nullable=False),
            sa.Column("only_if_changed", sa.Boolean(), server_default=false, nullable=False),
            sa.Column("parameters", postgresql.JSONB(), server_default=EMPTY, nullable=False),
            sa.Column("is_on", sa.Boolean(), server_default=true, nullable=False),
            sa.Column("tick", sa.DateTime(timezone=True), nullable=False),
            sa.Column("date_due", sa.DateTime(timezone=True), nullable=False),
            text("last_sha", default=""),
            text("last_error", default=""),
            sa.Column("date_last", sa.DateTime(timezone=True), nullable=True),
        ),
        sa.UniqueConstraint("project_id", "name"),
    )
    op.create_index(
        "ix_build_schedule_due", "build_schedule", ["date_due"], postgresql_where=sa.text("is_on")
    )


def make_hooks() -> None:
    op.create_table(
        "build_hook",
        *of_a_project(
            text("name"),
            sa.Column("sealed", sa.LargeBinary(), nullable=False),
            sa.Column("date_used", sa.DateTime(timezone=True), nullable=True),
        ),
        sa.UniqueConstraint("project_id", "name"),
    )
