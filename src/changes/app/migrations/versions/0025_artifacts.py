"""Artifacts: the same bytes once, and what was removed"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

# Where several rows have the same bytes, the first one's are kept; a sweep finds those of the others.
KNOWN = """
insert into stored_file (sha256, size_bytes, key, date_used)
select distinct on (sha256) sha256, size_bytes, key, date_created from artifact order by sha256, id
"""
SHARED = """
update artifact set key = stored_file.key from stored_file
where stored_file.sha256 = artifact.sha256 and stored_file.key <> artifact.key
"""


def upgrade() -> None:
    op.create_table(
        "stored_file",
        sa.Column("sha256", sa.Text(), primary_key=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("date_used", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_stored_file_date_used", "stored_file", ["date_used"])
    op.execute(KNOWN)
    op.execute(SHARED)
    op.add_column("artifact", sa.Column("date_removed", sa.DateTime(timezone=True)))
    op.create_index(
        "ix_artifact_sha256", "artifact", ["sha256"], postgresql_where=sa.text("date_removed IS NULL")
    )
