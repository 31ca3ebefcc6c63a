"""Runs, their generations and individuals.

Seeds are text, because they are unsigned and no integer column of both databases holds 2^64 - 1. The arrays of a generation are one
blob, stored as it is: it is compressed already. individuals has no foreign key: checking it for every row takes longer than the
insert, and rows come and go only with their generation, in its transaction.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("world", sa.Text, nullable=False),
        sa.Column("world_version", sa.Integer, nullable=False),
        sa.Column("seed", sa.Text, nullable=False),
        sa.Column("config", sa.Text, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("created_at", sa.String(40), nullable=False),
        sa.Column("versions", sa.Text, nullable=False),
        sa.Column("parent_run", sa.String(64)),
        sa.Column("parent_generation", sa.Integer),
    )
    op.create_table(
        "generations",
        sa.Column("run_id", sa.String(64), sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("generation", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("best", sa.Integer),
        sa.Column("best_fitness", sa.Double),
        sa.Column("median_fitness", sa.Double),
        sa.Column("statuses", sa.Text, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("lane_steps", sa.BigInteger, nullable=False),
        sa.Column("results", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "individuals",
        sa.Column("run_id", sa.String(64), primary_key=True),
        sa.Column("generation", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("individual", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("fitness", sa.Double),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("parent_a", sa.Integer, nullable=False),
        sa.Column("parent_b", sa.Integer, nullable=False),
        sa.Column("streak", sa.Integer, nullable=False),
        sa.Column("frames", sa.LargeBinary),
        sqlite_with_rowid=False,
    )
    postgresql = op.get_bind().dialect.name == "postgresql"
    best_first = sa.text("fitness DESC NULLS LAST" if postgresql else "fitness DESC")  # SQLite puts NULL last by itself
    op.create_index("individuals_by_fitness", "individuals", ["run_id", "generation", best_first])
    if postgresql:
        op.execute("ALTER TABLE generations ALTER COLUMN results SET STORAGE EXTERNAL")
        op.execute("ALTER TABLE individuals ALTER COLUMN frames SET STORAGE EXTERNAL")


def downgrade() -> None:
    for table in ("individuals", "generations", "runs"):
        op.drop_table(table)
