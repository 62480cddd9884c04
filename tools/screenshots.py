"""Take the pictures of the documentation from a running dashboard.

The tests in a real browser go through every page on an empty installation anyway; this runs them once with a folder
to keep pictures in, and takes over those that the documentation shows.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
IMAGES: Final = ROOT / "docs" / "images"
# As the tests name them → as the documentation does.
SHOWN: Final = {
    "welcome": "dashboard-welcome",
    "overview": "dashboard-overview",
    "jobs": "dashboard-jobs",
    "model": "dashboard-model",
    "compare": "dashboard-compare",
    "live": "dashboard-live",
    "coin": "dashboard-coin",
    "new-de-1920": "dashboard-new-model-german",
    "data-en-390": "dashboard-data-narrow",
}


def main() -> int:
    """Run the tests and copy their pictures; return the tests' exit code, or 1 if a picture is missing."""
    tests = ["-n", "0", "-p", "no:randomly", "-q", "tests/acceptance/test_dashboard.py"]
    with tempfile.TemporaryDirectory(prefix="kurswerk-pictures-") as folder:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *tests],
            cwd=ROOT,
            env=os.environ | {"KURSWERK_SCREENSHOTS": folder},
            check=False,
        )
        IMAGES.mkdir(parents=True, exist_ok=True)
        missing = [name for name in SHOWN if not (Path(folder) / f"{name}.png").is_file()]
        for name in SHOWN.keys() - set(missing):
            shutil.copyfile(Path(folder) / f"{name}.png", IMAGES / f"{SHOWN[name]}.png")
    if missing:
        print(f"no picture of {', '.join(missing)}", file=sys.stderr)
    return done.returncode or bool(missing)


if __name__ == "__main__":
    sys.exit(main())
