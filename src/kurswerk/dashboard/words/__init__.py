"""Texts in the user's language, and numbers, dates and units as it writes them."""
