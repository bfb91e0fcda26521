"""Alembic's entry point; always run inside a transaction that ``Database.upgrade`` opened."""

from alembic import context

from tidegauge_service.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
context.run_migrations()
