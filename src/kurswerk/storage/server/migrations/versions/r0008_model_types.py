"""The register of model families decides which model types there are."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE ml_models DROP CONSTRAINT IF EXISTS ml_models_model_type_check")


def downgrade() -> None:
    op.execute(
        "ALTER TABLE ml_models ADD CONSTRAINT ml_models_model_type_check"
        " CHECK (model_type IN ('random_forest', 'xgboost'))"
    )
