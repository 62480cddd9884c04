"""PostgreSQL: embedded or external, migrations, coin metrics, models."""
