"""What Alembic runs: the migrations, inside the transaction that store_sql has begun and will commit."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], version_table=context.config.attributes["version_table"])
context.run_migrations()
