"""Sources, changes and what builds them"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    repositories()
    patches()
    changes()
    comments()
    sources()
    green()
    op.create_table(
        "author_address",
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("author_id", sa.Uuid, nullable=False),
        sa.PrimaryKeyConstraint("email", name=op.f("pk_author_address")),
        sa.ForeignKeyConstraint(
            ["author_id"], ["author.id"], name=op.f("fk_author_address_author_id"), ondelete="CASCADE"
        ),
    )
    op.create_index(op.f("ix_author_address_author_id"), "author_address", ["author_id"])


def repositories() -> None:
    for name in ("author_id", "committer_id"):
        op.drop_constraint(f"fk_revision_{name}", "revision")
    op.drop_index("ix_revision_newest", "revision")
    latest = sa.text("coalesce(date_committed, date_created) DESC")
    op.create_index("ix_revision_newest", "revision", ["repository_id", latest, "sha"])
    for column in (
        sa.Column("date_next_sync", MOMENT),
        sa.Column("sync_failures", sa.Integer, nullable=False, server_default="0"),
        sa.Column("date_changed", MOMENT),
        sa.Column("imported_count", sa.Integer, nullable=False, server_default="0"),
        sa.Column("is_imported", sa.Boolean, nullable=False, server_default="false"),
        sa.Column("default_branch", sa.Text, nullable=False, server_default=""),
        sa.Column("hook_number", sa.Integer, nullable=False, server_default="1"),
    ):
        op.add_column("repository", column)
    op.create_table(
        "branch",
        sa.Column("repository_id", sa.Uuid, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("sha", sa.Text, nullable=False),
        sa.Column("date_changed", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("repository_id", "name", name=op.f("pk_branch")),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name=op.f("fk_branch_repository_id"), ondelete="CASCADE"
        ),
    )


def patches() -> None:
    op.alter_column("patch", "diff", nullable=True)
    for column in (
        sa.Column("digest", sa.Text, nullable=False, server_default=""),
        sa.Column("size_bytes", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("file_count", sa.Integer, nullable=False, server_default="0"),
        sa.Column("added_count", sa.Integer, nullable=False, server_default="0"),
        sa.Column("removed_count", sa.Integer, nullable=False, server_default="0"),
        sa.Column("fingerprint", sa.Text, nullable=False, server_default=""),
        sa.Column("label", sa.Text, nullable=False, server_default=""),
        sa.Column("url", sa.Text, nullable=False, server_default=""),
    ):
        op.add_column("patch", column)
    op.create_index(
        "ix_patch_fingerprint",
        "patch",
        ["repository_id", "fingerprint"],
        postgresql_where=sa.text("fingerprint <> ''"),
    )


def changes() -> None:
    op.create_table(
        "change",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("date_created", MOMENT, nullable=False),
        sa.Column("repository_id", sa.Uuid, nullable=False),
        sa.Column("project_id", sa.Uuid),
        sa.Column("kind", sa.SmallInteger, nullable=False),
        sa.Column("provider", sa.Text, nullable=False, server_default=""),
        sa.Column("external_id", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False, server_default=""),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False, server_default=""),
        sa.Column("author_id", sa.Uuid),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.Column("landed_sha", sa.Text),
        sa.Column("landed_by", sa.Text, nullable=False, server_default=""),
        sa.Column("date_landed", MOMENT),
        sa.Column("last_source_number", sa.Integer, nullable=False, server_default="0"),
        sa.Column("date_modified", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_change")),
        sa.UniqueConstraint(
            "repository_id",
            "provider",
            "external_id",
            name=op.f("uq_change_repository_id_provider_external_id"),
        ),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name=op.f("fk_change_repository_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_change_project_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["author_id"], ["author.id"], name=op.f("fk_change_author_id"), ondelete="SET NULL"
        ),
    )
    op.create_index(op.f("ix_change_author_id"), "change", ["author_id"])
    op.create_index("ix_change_newest", "change", ["date_modified", "id"])
    op.create_index("ix_change_project_id", "change", ["project_id"])
    op.create_index(
        "ix_change_landed",
        "change",
        ["repository_id", "landed_sha"],
        postgresql_where=sa.text("landed_sha IS NOT NULL"),
    )
    op.create_index(
        "ix_change_open", "change", ["repository_id", "id"], postgresql_where=sa.text("state = 0")
    )


def comments() -> None:
    op.create_table(
        "comment",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("date_created", MOMENT, nullable=False),
        sa.Column("user_id", sa.Uuid),
        sa.Column("target", sa.SmallInteger, nullable=False),
        sa.Column("target_id", sa.Uuid, nullable=False),
        sa.Column("path", sa.Text, nullable=False, server_default=""),
        sa.Column("line", sa.Integer),
        sa.Column("text", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comment")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name=op.f("fk_comment_user_id"), ondelete="SET NULL"
        ),
    )
    op.create_index("ix_comment_target", "comment", ["target", "target_id", "id"])


def sources() -> None:
    op.add_column("source", sa.Column("change_id", sa.Uuid))
    op.add_column("source", sa.Column("number", sa.Integer))
    op.create_foreign_key(
        op.f("fk_source_change_id"), "source", "change", ["change_id"], ["id"], ondelete="SET NULL"
    )
    op.create_index(
        "uq_source_version",
        "source",
        ["change_id", "number"],
        unique=True,
        postgresql_where=sa.text("change_id IS NOT NULL"),
    )


def green() -> None:
    op.create_index(
        "ix_bazel_target_borrowed", "bazel_target", ["job_id"], postgresql_where=sa.text("source = 1")
    )
    for table, name, more in (
        ("latest_green_build", "branch", sa.Column("sha", sa.Text, nullable=False)),
        ("revision_result", "revision_sha", sa.Column("result", sa.SmallInteger, nullable=False)),
    ):
        op.create_table(
            table,
            sa.Column("id", sa.Uuid, nullable=False),
            sa.Column("date_created", MOMENT, nullable=False),
            sa.Column("project_id", sa.Uuid, nullable=False),
            sa.Column(name, sa.Text, nullable=False),
            sa.Column("build_id", sa.Uuid, nullable=False),
            more,
            sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
            sa.UniqueConstraint("project_id", name, name=op.f(f"uq_{table}_project_id_{name}")),
            sa.ForeignKeyConstraint(
                ["project_id"], ["project.id"], name=op.f(f"fk_{table}_project_id"), ondelete="CASCADE"
            ),
            sa.ForeignKeyConstraint(
                ["build_id"], ["build.id"], name=op.f(f"fk_{table}_build_id"), ondelete="CASCADE"
            ),
        )
        op.create_index(op.f(f"ix_{table}_build_id"), table, ["build_id"])
