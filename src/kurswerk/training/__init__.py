"""Train, test, compare and certify models."""
