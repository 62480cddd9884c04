"""Write requirements.lock: the exact versions that the ranges in pyproject.toml resolve to today."""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

HEADER = "# Written by `make lock`; every version that `make setup` installs.\n"


def main() -> int:
    """Resolve in a fresh environment, then freeze it."""
    root = Path(__file__).resolve().parent.parent
    with tempfile.TemporaryDirectory() as scratch:
        venv.create(scratch, with_pip=True)
        python = str(Path(scratch) / "bin" / "python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", f"{root}[dev,bench]"], check=True)
        frozen = subprocess.run(
            [python, "-m", "pip", "freeze", "--exclude", "kurswerk"], check=True, capture_output=True, text=True
        ).stdout
    (root / "requirements.lock").write_text(HEADER + frozen, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
