"""``python -m kurswerk`` is the command ``kurswerk``."""

from kurswerk.cli import main

main()
