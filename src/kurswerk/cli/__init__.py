"""One file per command group; every command prints JSON with --json."""
