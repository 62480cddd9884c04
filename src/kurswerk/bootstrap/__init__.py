"""Settings read once, adapters joined to use cases, process entry points."""
