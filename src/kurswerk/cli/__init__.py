"""One file per command group; every command prints JSON with ``--json``.

Commands are imported only when they run, so that ``kurswerk --help`` answers at once.
"""

from kurswerk.cli._main import main

__all__ = ["main"]
