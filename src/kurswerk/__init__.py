"""Kurswerk: one platform for machine learning on markets."""

__version__ = "0.1.0"
