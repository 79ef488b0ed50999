"""Agents and artifact store of the original"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("node", sa.Column("kind", sa.SmallInteger(), server_default="0", nullable=False))
    keys()
    store()


def keys() -> None:
    op.create_table(
        "original_key",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("use", sa.SmallInteger(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("date_last_used", MOMENT, nullable=True),
        sa.Column("date_revoked", MOMENT, nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("date_created", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_original_key")),
        sa.UniqueConstraint("digest", name=op.f("uq_original_key_digest")),
    )
    op.create_table(
        "original_node",
        sa.Column("node_id", sa.Uuid(), nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=False),
        sa.Column("cluster", sa.Text(), nullable=True),
        sa.Column("host", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["node_id"], ["node.id"], name=op.f("fk_original_node_node_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["key_id"], ["original_key.id"], name=op.f("fk_original_node_key_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("node_id", name=op.f("pk_original_node")),
        sa.UniqueConstraint(
            "key_id",
            "cluster",
            "host",
            name=op.f("uq_original_node_key_id_cluster_host"),
            postgresql_nulls_not_distinct=True,
        ),
    )


def store() -> None:
    op.create_table(
        "store_bucket",
        sa.Column("step_id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("date_created", MOMENT, nullable=False),
        sa.Column("date_closed", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["step_id"], ["job_step.id"], name=op.f("fk_store_bucket_step_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("step_id", name=op.f("pk_store_bucket")),
    )
    op.create_table(
        "store_artifact",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("step_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("relative_path", sa.Text(), nullable=False),
        sa.Column("kept_as", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("deadline_min", sa.Integer(), nullable=False),
        sa.Column("date_created", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["step_id"], ["store_bucket.step_id"], name=op.f("fk_store_artifact_step_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_store_artifact")),
        sa.UniqueConstraint("step_id", "name", name=op.f("uq_store_artifact_step_id_name")),
        sa.UniqueConstraint("step_id", "kept_as", name="uq_store_artifact_kept_as"),
    )
