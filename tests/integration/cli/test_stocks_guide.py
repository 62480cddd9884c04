"""The guide `docs/stocks.md`, run as it is written, on files of the kind that it describes."""

import re
import shlex
from pathlib import Path

import numpy as np

from kurswerk.market.calendar import calendar_of

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "stocks.md"
SYMBOLS = ("AAA", "BRK.B", "CCC", "DDD")
DAYS = calendar_of("XNYS").sessions_between(np.datetime64("2022-01-03"), np.datetime64("2023-12-01"))


def write_files(folder: Path) -> None:
    """Write bars of four symbols over two years, a split, dated fundamentals and a list of sectors."""
    rng = np.random.default_rng(11)
    bars, facts = [], []
    for symbol in SYMBOLS:
        close = 80 * np.exp(np.cumsum(rng.normal(0, 0.015, len(DAYS))))
        spread = np.abs(rng.normal(0, 0.005, len(DAYS))) + 0.001
        factor = np.where((symbol == "BRK.B") & (DAYS[200] <= DAYS), 0.5, 1.0)
        for day, c, s, f in zip(DAYS, close, spread, factor, strict=True):
            high, low = c * (1 + s) * f, c * (1 - s) * f
            bars.append(f"{symbol},{day},{c * f:.6f},{high:.6f},{low:.6f},{c * f:.6f},{rng.integers(1e5, 1e6)}")
        facts += [f"{symbol},{day},{15 + k / 10},{4 + k / 10},1e9,{close[0]:.4f}" for k, day in enumerate(DAYS[::40])]
    head = "symbol,date,open,high,low,close,volume\n"
    last = tuple(bar for bar in bars if str(DAYS[-1]) in bar)
    (folder / "prices.csv").write_text(head + "\n".join(bar for bar in bars if bar not in last))
    (folder / "today.csv").write_text(head + "\n".join(last))
    (folder / "actions.csv").write_text(f"symbol,date,kind,factor\nBRK.B,{DAYS[200]},split,2\n")
    (folder / "fundamentals.csv").write_text("symbol,as_of,pe,eps,market_cap,price\n" + "\n".join(facts))
    sectors = "Energy,Integrated Oil & Gas|Financials,Multi-Sector Holdings|Materials,Gold|Utilities,Gas Utilities"
    rows = "\n".join(f"{symbol},{sector}" for symbol, sector in zip(SYMBOLS, sectors.split("|"), strict=True))
    (folder / "sectors.csv").write_text("symbol,gics_sector,gics_sub_industry\n" + rows)


def test_the_guide_works_as_written(run, tmp_path):
    write_files(tmp_path)
    text, outputs = GUIDE.read_text(encoding="utf-8"), {}
    found = re.findall(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```', text, flags=re.MULTILINE | re.DOTALL)
    for language, title, content in found:
        if language == "json":
            (tmp_path / title).write_text(content, encoding="utf-8")
        for line in content.strip().splitlines() if language == "bash" else ():
            words = shlex.split(line)
            assert words[0] == "kurswerk"
            done = run(*words[1:])
            assert done.code == 0, f"{line}\n{done.out}\n{done.err}"
            outputs[line] = done.out
    assert len(outputs) == 11
    everything = "\n".join(outputs.values())
    assert f"{4 * len(DAYS) - 4:,} rows read" in everything
    assert "model 'up-1-percent' is certified" in everything
    assert "0 bits differ" in everything
    assert "<table>" in (tmp_path / "exports" / "quality.html").read_text(encoding="utf-8")
