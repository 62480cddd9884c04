"""The guide `docs/first-model.md`, run as it is written: every file it shows, every command, in order."""

import shlex
import subprocess
import sys
from pathlib import Path

from guide_pages import blocks

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "first-model.md"


def test_the_guide_works_as_written(workplace):
    directory, environment = workplace
    ran: dict[str, str] = {}
    for language, title, content in blocks(GUIDE.read_text(encoding="utf-8")):
        if language == "json":
            (directory / title).write_text(content)
        if language == "bash":
            for line in content.strip().splitlines():
                words = shlex.split(line)
                assert words[0] == "kurswerk"
                done = subprocess.run(
                    [sys.executable, "-m", "kurswerk", *words[1:]],
                    cwd=directory,
                    env=environment,
                    capture_output=True,
                    text=True,
                    timeout=900,
                    check=False,
                )
                assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
                ran[line] = done.stdout
    assert len(ran) == 9
    outputs = "\n".join(ran.values())
    assert "11,712 rows read, 11,712 accepted" in outputs
    assert "model 'up-2-percent' is certified" in outputs
    assert "0 bits differ" in outputs
    assert "winner by F1" in outputs
    assert (directory / "model.onnx").stat().st_size > 1000
    assert (
        "<svg" in (directory / "exports" / "up-2-percent.html").read_text()
        or "plotly" in (directory / "exports" / "up-2-percent.html").read_text()
    )
