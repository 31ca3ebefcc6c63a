"""Who executes a run, what is asked of it, how far it is to go, and why it failed.

A run that an earlier Worldloom left as running has no lease: it is shown as interrupted, which it was unless that process still lives.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def columns() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("job", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("wanted", sa.String(16)),
        sa.Column("fence", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("owner", sa.Text),
        sa.Column("until", sa.Double),
        sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
        sa.Column("target", sa.Integer),
        sa.Column("error", sa.Text, nullable=False, server_default=""),
    )


def upgrade() -> None:
    for column in columns():
        op.add_column("runs", column)
    op.create_index("runs_by_status", "runs", ["status", "created_at"])


def downgrade() -> None:
    op.drop_index("runs_by_status", "runs")
    for column in reversed(columns()):
        op.drop_column("runs", column.name)
