"""Run by Alembic; the connection is handed in by stores/schema.py."""

from alembic import context

from stores.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=connection.dialect.name == "sqlite")
context.run_migrations()
