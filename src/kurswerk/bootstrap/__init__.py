"""Settings read once, adapters joined to use cases, process entry points."""

from kurswerk.bootstrap._application import Application, current_settings, database_url, open_application
from kurswerk.bootstrap._caches import use_caches
from kurswerk.bootstrap.settings import Settings, read_settings

__all__ = [
    "Application",
    "Settings",
    "current_settings",
    "database_url",
    "open_application",
    "read_settings",
    "use_caches",
]
