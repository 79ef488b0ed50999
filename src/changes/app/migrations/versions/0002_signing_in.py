"""Signing in: tries, taste, sessions with a place, and sign-ins under way at a provider"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("user", sa.Column("theme", sa.Text(), server_default="", nullable=False))
    op.add_column("user", sa.Column("is_colorblind", sa.Boolean(), server_default="false", nullable=False))
    op.add_column("user", sa.Column("date_disabled", sa.DateTime(timezone=True), nullable=True))
    op.add_column("web_session", sa.Column("user_agent", sa.Text(), server_default="", nullable=False))
    op.add_column("web_session", sa.Column("address", sa.Text(), server_default="", nullable=False))
    op.create_table(
        "tries",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("date_window_began", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_tries")),
    )
    op.create_table(
        "provider_visit",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("nonce", sa.Text(), nullable=False),
        sa.Column("verifier", sa.Text(), nullable=False),
        sa.Column("landing", sa.Text(), nullable=False),
        sa.Column("date_expires", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_provider_visit")),
    )
