"""Runs migrations on the connection that `upgrading.upgrade` hands over, in its transaction."""

from alembic import context

from vitruvius.memory.ledger.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters tables by copying them
    transactional_ddl=False,  # the caller's transaction holds all steps or none
)
context.run_migrations()
