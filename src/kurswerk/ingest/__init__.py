"""Market data into the store: validated, counted, nothing lost."""
