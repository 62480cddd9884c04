"""Names that the migrations and their runner share."""

# Kurswerk's own, because a foreign database may have an alembic_version of somebody else.
VERSION_TABLE = "kurswerk_version"
# Tables that Kurswerk created here; only these are ever dropped.
OWNED_TABLE = "kurswerk_tables"
HEAD = "0022"
# Any constant: all processes that migrate one database queue up behind it.
MIGRATION_LOCK = 0x4B75_7273_7765_726B
# Retention cleanup: one process at a time, and none while a backup is made. Any constant: "KWt" in hexadecimal.
RETENTION_LOCK = 0x4B5774
