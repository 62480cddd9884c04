"""Measure and write the page."""

import argparse
import sys
from pathlib import Path

from . import __doc__ as description
from . import measure, page

TARGET = Path(__file__).resolve().parents[2] / "docs" / "one-prediction.md"


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rows", type=int, default=200, help="rows to measure")
    parser.add_argument("--output", type=Path, default=TARGET, help="where to write")
    arguments = parser.parse_args()
    arguments.output.write_text(page(measure(arguments.rows)), encoding="utf-8")
    print(f"{arguments.output} written", file=sys.stderr)


if __name__ == "__main__":
    main()
