"""The feature library: one definition for batch and live."""
