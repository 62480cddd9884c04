"""Alembic migrations: what Kurswerk keeps in a database."""
