"""Record goldens from the commit that is installed; `tests/golden/README.md` explains when that is right.

    python tools/record_goldens.py [NAME…] [--data FOLDER] [--database URL]

NAME is ``schema``, ``command_line``, ``service`` or ``bars``; all by default.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import goldens
from goldens import DATA, write_golden

# Documents whose numbers are the same on every machine.
PORTABLE = {"schema", "features", "openapi"}
Documents = dict[str, dict[str, Any]]
RECORDERS: dict[str, Callable[[Path, str], Documents]] = {
    "schema": lambda _, url: {"schema": goldens.record_schema(url)},
    "command_line": goldens.record_command_line,
    "service": goldens.record_service,
    "bars": goldens.record_bars,
}


def record(name: str, folder: Path, url: str | None = None) -> Documents:
    """Record in an empty, migrated database; without one, with a server that is stopped afterwards."""
    os.chdir(folder)
    os.environ["KURSWERK_DATA_DIR"] = str(folder / "data")
    os.environ.pop("KURSWERK_DATABASE_URL", None)
    if url is not None:
        os.environ["KURSWERK_DATABASE_URL"] = url
        return RECORDERS[name](folder, url)
    run = goldens.run_command
    run("db", "upgrade", "--json")
    os.environ["KURSWERK_DATABASE_URL"] = url = run("db", "url")[1].strip()
    try:
        return RECORDERS[name](folder, url)
    finally:
        del os.environ["KURSWERK_DATABASE_URL"]
        run("db", "stop", "--json")


def main() -> int:
    """Record what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", default=[])
    parser.add_argument("--data", type=Path, default=DATA, help="where to write; tests/golden/data by default")
    parser.add_argument("--database", metavar="URL", help="an empty, migrated one, for one NAME; by default its own")
    chosen = parser.parse_args()
    target = chosen.data.resolve()
    for name in chosen.names or RECORDERS:
        folder = Path(tempfile.mkdtemp(prefix="kw-golden-"))
        try:
            for golden, document in record(name, folder, chosen.database).items():
                write_golden(golden, document, portable=golden in PORTABLE, folder=target)
                print(f"{golden}: {len(document)} entries")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
