"""The page `docs/forecasts.md`, run as it is written: the file it shows, every command, in order."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from guide_pages import blocks

PAGE = Path(__file__).resolve().parents[2] / "docs" / "forecasts.md"


@pytest.mark.slow
def test_the_page_works_as_written(workplace):
    directory, environment = workplace
    outputs = []
    for language, title, content in blocks(PAGE.read_text(encoding="utf-8")):
        if language == "json":
            (directory / title).write_text(content)
        for line in content.strip().splitlines() if language == "bash" else ():
            command = [sys.executable, "-m", "kurswerk", *shlex.split(line)[1:]]
            done = subprocess.run(
                command, cwd=directory, env=environment, capture_output=True, text=True, timeout=900, check=False
            )
            assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
            outputs.append(done.stdout)
    assert len(outputs) == 4
    assert "certified" in outputs[1]
    assert "forecast" in outputs[2]
    assert "forecast" in outputs[3]
