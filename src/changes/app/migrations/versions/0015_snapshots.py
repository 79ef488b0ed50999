"""Snapshots and caches"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
TEXTS = postgresql.ARRAY(sa.Text())


def upgrade() -> None:
    op.add_column("plan", sa.Column("snapshot_plan_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        op.f("fk_plan_snapshot_plan_id"), "plan", "plan", ["snapshot_plan_id"], ["id"], ondelete="SET NULL"
    )
    op.create_index(op.f("ix_plan_snapshot_plan_id"), "plan", ["snapshot_plan_id"])
    blobs()
    caches()
    snapshots()
    images()


def reference(table: str, column: str, to: str, ondelete: str | None = "CASCADE") -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [to], name=op.f(f"fk_{table}_{column}"), ondelete=ondelete)


def blobs() -> None:
    op.create_table(
        "blob",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("keys", TEXTS, nullable=False),
        sa.Column("date_sent", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_blob")),
    )
    op.create_table(
        "blob_upload",
        sa.Column("step_id", sa.Uuid(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("received_bytes", sa.BigInteger(), nullable=False),
        sa.Column("keys", TEXTS, nullable=False),
        sa.Column("is_whole", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("date_modified", MOMENT, nullable=False),
        reference("blob_upload", "step_id", "job_step.id"),
        sa.PrimaryKeyConstraint("step_id", "sha256", name=op.f("pk_blob_upload")),
    )
    op.create_index(op.f("ix_blob_upload_date_modified"), "blob_upload", ["date_modified"])


def caches() -> None:
    op.create_table(
        "cache_entry",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("realm", sa.Text(), server_default="", nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("date_used", MOMENT, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("date_created", MOMENT, nullable=False),
        reference("cache_entry", "project_id", "project.id"),
        reference("cache_entry", "sha256", "blob.sha256", None),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cache_entry")),
        sa.UniqueConstraint("project_id", "realm", "key", name=op.f("uq_cache_entry_project_id_realm_key")),
    )
    op.create_index(op.f("ix_cache_entry_sha256"), "cache_entry", ["sha256"])
    op.create_index("ix_cache_entry_used", "cache_entry", ["project_id", "date_used"])


def snapshots() -> None:
    op.create_table(
        "snapshot",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("build_id", sa.Uuid(), nullable=True),
        sa.Column("source_id", sa.Uuid(), nullable=True),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("date_created", MOMENT, nullable=False),
        reference("snapshot", "project_id", "project.id"),
        reference("snapshot", "build_id", "build.id", "SET NULL"),
        reference("snapshot", "source_id", "source.id", "SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_snapshot")),
        sa.UniqueConstraint("build_id", name=op.f("uq_snapshot_build_id")),
    )
    op.create_index(op.f("ix_snapshot_source_id"), "snapshot", ["source_id"])
    op.create_index("ix_snapshot_newest", "snapshot", ["project_id", "id"])


def images() -> None:
    op.create_table(
        "snapshot_image",
        sa.Column("snapshot_id", sa.Uuid(), nullable=False),
        sa.Column("plan_id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("kind", sa.Text(), server_default="archive", nullable=False),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("problem", sa.Text(), server_default="", nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("date_created", MOMENT, nullable=False),
        reference("snapshot_image", "snapshot_id", "snapshot.id"),
        reference("snapshot_image", "plan_id", "plan.id"),
        reference("snapshot_image", "job_id", "job.id", "SET NULL"),
        reference("snapshot_image", "sha256", "blob.sha256", None),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_snapshot_image")),
        sa.UniqueConstraint("job_id", name=op.f("uq_snapshot_image_job_id")),
        sa.UniqueConstraint("snapshot_id", "plan_id", name=op.f("uq_snapshot_image_snapshot_id_plan_id")),
    )
    op.create_index(op.f("ix_snapshot_image_plan_id"), "snapshot_image", ["plan_id"])
    op.create_index(op.f("ix_snapshot_image_sha256"), "snapshot_image", ["sha256"])
    op.create_table(
        "cached_snapshot_image",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("expiration_date", MOMENT, nullable=True),
        reference("cached_snapshot_image", "id", "snapshot_image.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cached_snapshot_image")),
    )
    op.create_table(
        "job_snapshot",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("image_id", sa.Uuid(), nullable=False),
        reference("job_snapshot", "job_id", "job.id"),
        reference("job_snapshot", "image_id", "snapshot_image.id"),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_job_snapshot")),
    )
    op.create_index(op.f("ix_job_snapshot_image_id"), "job_snapshot", ["image_id"])
