"""Market data from files and from a simulator."""
