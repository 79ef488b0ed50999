"""Coverage"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "coverage_file",
        sa.Column("id", sa.Integer(), sa.Identity(), primary_key=True),
        below("project"),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("path_sha", sa.Text(), nullable=False),
        sa.UniqueConstraint("project_id", "path_sha"),
    )
    op.create_table(
        "step_coverage",
        below("job_step", "step_id", primary_key=True),
        below("job"),
        below("build"),
        number("file_count"),
        sa.Column("strange_count", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("strange_names", postgresql.ARRAY(sa.Text()), nullable=False, server_default="{}"),
    )
    op.create_index("ix_step_coverage_job_id", "step_coverage", ["job_id"])
    op.create_index("ix_step_coverage_build_id", "step_coverage", ["build_id"])
    op.create_table(
        "step_coverage_pack", below("step_coverage", "step_id", "step_id", primary_key=True), *pack()
    )
    op.create_table(
        "build_coverage",
        below("build", primary_key=True),
        below("project"),
        sa.Column("date_merged", sa.DateTime(timezone=True), nullable=False),
        sa.Column("is_of_commit", sa.Boolean(), nullable=False),
        number("report_count"),
        number("file_count"),
        sa.Column("lines_covered", sa.BigInteger(), nullable=False),
        sa.Column("lines_uncovered", sa.BigInteger(), nullable=False),
        number("diff_lines_covered", nullable=True),
        number("diff_lines_uncovered", nullable=True),
        sa.Column("diff_problem", sa.Text(), nullable=False, server_default=""),
        sa.Column("patch", postgresql.JSONB(), nullable=False, server_default=sa.text("'{}'")),
        sa.Column("is_folded", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.create_index(
        "ix_build_coverage_commits",
        "build_coverage",
        ["project_id", "build_id"],
        postgresql_where=sa.text("is_of_commit"),
    )
    op.create_index(
        "ix_build_coverage_loose",
        "build_coverage",
        ["date_merged"],
        postgresql_where=sa.text("not is_folded"),
    )
    op.create_table(
        "build_coverage_pack", below("build_coverage", "build_id", "build_id", primary_key=True), *pack()
    )


def below(table: str, name: str = "", key: str = "id", *, primary_key: bool = False) -> sa.Column:
    above = sa.ForeignKey(f"{table}.{key}", ondelete="CASCADE")
    return sa.Column(name or f"{table}_id", sa.Uuid(), above, nullable=False, primary_key=primary_key)


def number(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.Integer(), nullable=nullable)


def pack() -> list[sa.Column]:
    bits = postgresql.ARRAY(postgresql.BIT(varying=True))
    return [
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("files", postgresql.ARRAY(sa.Integer()), nullable=False),
        sa.Column("executable", bits, nullable=False),
        sa.Column("covered", bits, nullable=False),
        sa.Column("partial", bits, nullable=False),
    ]
