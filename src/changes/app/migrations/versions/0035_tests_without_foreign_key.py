"""What a list of flaky tests tells of fifty days stands in its index, and tests without a foreign key"""

from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

KEY = "project_id, day, test_id"
BESIDE_IT = "flaky, double_reruns, passed"
FIRST = "autovacuum_vacuum_insert_threshold = 2000, autovacuum_vacuum_insert_scale_factor = 0"
THEN = "autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_scale_factor = 0.02"


def upgrade() -> None:
    op.drop_constraint("pk_test_flaky_day", "test_flaky_day")
    op.execute(
        "alter table test_flaky_day add constraint pk_test_flaky_day"
        f" primary key ({KEY}) include ({BESIDE_IT})"
    )
    # The index is enough for rows of pages that a vacuum has been at since they changed last.
    op.execute(f"alter table test_flaky_day set ({FIRST}, {THEN})")
    # Asked for each of ten thousand new tests, it took half as long as writing them. Their batch has one.
    op.drop_constraint("fk_test_project_id", "test")
