"""The guide `docs/first-model.md`, run as it is written: every file it shows, every command, in order."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "first-model.md"


def write_candles(path: Path, coins: tuple[str, ...] = ("BTC/USDT", "WIF/USDT")) -> None:
    """Write 15-minute candles of May and June 2024 whose volatility comes in clusters."""
    rng = np.random.default_rng(5)
    bars = 61 * 96
    times = np.datetime64("2024-05-01T00:00:00") + np.arange(bars) * np.timedelta64(15, "m")
    lines = ["symbol,timestamp,open,high,low,close,volume"]
    for coin in coins:
        mood = np.convolve(rng.normal(size=bars + 95), np.ones(96) / np.sqrt(96), "valid")[:bars]
        volatility = 0.007 * np.exp(0.7 * mood)
        close = 100 * np.exp(np.cumsum(rng.normal(size=bars) * volatility))
        opened = np.concatenate(([100.0], close[:-1]))
        high, low = np.maximum(opened, close) * (1 + volatility), np.minimum(opened, close) * (1 - volatility)
        volume = 1000 * volatility * rng.lognormal(size=bars)
        lines += [
            f"{coin},{time},{o:.8g},{h * 1.0001:.8g},{lo * 0.9999:.8g},{c:.8g},{v:.6g}"
            for time, o, h, lo, c, v in zip(times, opened, high, low, close, volume, strict=True)
        ]
    path.write_text("\n".join(lines))


def blocks(text: str) -> list[tuple[str, str, str]]:
    """Return language, title and content of every fenced block."""
    found = re.findall(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```', text, flags=re.MULTILINE | re.DOTALL)
    return [(language, title, content) for language, title, content in found]


@pytest.fixture
def workplace(tmp_path, embedded_data_dir):
    write_candles(tmp_path / "candles.csv")
    return tmp_path, os.environ | {"KURSWERK_DATA_DIR": str(embedded_data_dir)}


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
