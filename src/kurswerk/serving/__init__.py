"""Predictions from stored rows."""
