"""Migrations on a real PostgreSQL."""

from kurswerk.storage import Database, current_revision, downgrade, schema_status, upgrade


def test_upgrade_is_idempotent(bare_database: Database):
    assert current_revision(bare_database) is None
    assert upgrade(bare_database)
    assert not upgrade(bare_database)
    assert schema_status(bare_database).up_to_date


def test_downgrade_leaves_nothing_of_ours(database: Database):
    downgrade(database)
    assert [table.name for table in schema_status(database).tables] == ["kurswerk_version"]
    downgrade(database)
    assert upgrade(database)
