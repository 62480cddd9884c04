"""Alembic's entry: runs revisions on the connection that `kurswerk.storage.server.upgrade` hands over."""

from alembic import context

from kurswerk.storage.server._revisions import VERSION_TABLE


def run() -> None:
    """Run the revisions that Alembic asks for; its caller holds the transaction."""
    context.configure(
        connection=context.config.attributes["connection"],
        version_table=VERSION_TABLE,
        transactional_ddl=True,
        transaction_per_migration=False,
    )
    context.run_migrations()


if __name__ == "env_py":  # the name under which Alembic loads this file; imported otherwise, it does nothing
    run()
