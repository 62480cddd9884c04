"""Settings of the embedded server, and why."""

SETTINGS: dict[str, str] = {
    # Only our own processes talk to it, through a socket that only their user can open.
    "listen_addresses": "''",
    "port": "5432",
    # A table of ten million coin rows takes about 4 GB: a quarter of a GB keeps index pages and recent rows.
    "shared_buffers": "'256MB'",
    # Sorts and hash joins of a load; a handful of sessions at most.
    "work_mem": "'64MB'",
    "maintenance_work_mem": "'256MB'",
    # Bulk ingest writes faster than the default 1 GB between checkpoints allows for.
    "max_wal_size": "'4GB'",
    "checkpoint_timeout": "'15min'",
    # A committed row survives a power cut.
    "synchronous_commit": "on",
    # Nobody replicates from an embedded server; bulk loads write less log.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # Compiling a query costs more than our queries take.
    "jit": "off",
    "max_connections": "200",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "logging_collector": "off",
}


def settings_text(socket_dir: str) -> str:
    """Return the configuration file of the embedded server, with its socket in ``socket_dir``."""
    quoted = '"' + socket_dir.replace("\\", "\\\\").replace('"', '""') + '"'
    literal = "'" + quoted.replace("'", "''") + "'"
    lines = [f"{name} = {value}" for name, value in SETTINGS.items()]
    return "\n".join([*lines, f"unix_socket_directories = {literal}", ""])
