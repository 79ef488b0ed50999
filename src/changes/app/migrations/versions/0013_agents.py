"""What an agent tells of itself, and how it is let in"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

KEYS = ("next_token_digest", "former_token_digest")
MOMENTS = ("date_token", "former_token_until", "date_started")


def upgrade() -> None:
    for name in KEYS:
        op.add_column("node", sa.Column(name, sa.Text(), nullable=True))
        op.create_unique_constraint(f"uq_node_{name}", "node", [name])
    for name in MOMENTS:
        op.add_column("node", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    for name in ("sandboxes", "limits"):
        op.add_column(
            "node", sa.Column(name, postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False)
        )
    op.add_column(
        "node", sa.Column("is_token_due", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.add_column("node", sa.Column("protocol", sa.Integer(), server_default="0", nullable=False))
    op.add_column("node", sa.Column("problem", sa.Text(), server_default="", nullable=False))
