"""Two checkouts measured in turn."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.paired import main, ratio_interval, ratios_of


def a_checkout(folder: Path, seconds: dict[str, float]) -> Path:
    """A checkout whose benchmark reports these seconds and notes that it ran."""
    program = folder / ".venv" / "bin" / "python"
    program.parent.mkdir(parents=True)
    rows = json.dumps([{"name": name, "ours_s": value} for name, value in seconds.items()])
    program.write_text(f"#!/bin/sh\necho {folder.name} >> '{folder.parent / 'order'}'\necho '{rows}'\n")
    program.chmod(0o755)
    return folder


def test_measures_both_in_alternating_order_and_reports_what_both_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = a_checkout(tmp_path / "here", {"a": 0.5, "of this checkout alone": 1.0})
    other = a_checkout(tmp_path / "other", {"a": 1.0})
    monkeypatch.chdir(here)

    done = CliRunner().invoke(main, [str(other), "something", "--pairs", "3"], catch_exceptions=False)

    assert done.exit_code == 0, done.output
    assert (tmp_path / "order").read_text().split() == ["here", "other", "other", "here", "here", "other"]
    assert "0.500" in done.output
    assert "of this checkout alone" not in done.output


def test_has_a_ratio_for_each_pair() -> None:
    assert ratios_of([({"a": 3.0, "b": 1.0}, {"a": 1.5, "b": 4.0})]) == {"a": [2.0], "b": [0.25]}


@given(st.lists(st.floats(0.1, 10), min_size=2, max_size=20), st.floats(0.5, 2))
def test_an_interval_contains_its_mean_and_moves_with_the_ratios(ratios: list[float], factor: float) -> None:
    mean, low, high = ratio_interval(ratios)
    assert low <= mean <= high
    assert np.allclose(ratio_interval([ratio * factor for ratio in ratios]), np.array([mean, low, high]) * factor)


def test_the_interval_covers_the_true_ratio_in_95_of_100_runs() -> None:
    random = np.random.default_rng(0)
    intervals = [ratio_interval(np.exp(random.normal(0.1, 0.2, 5)).tolist()) for _ in range(400)]
    covered = np.mean([low <= np.exp(0.1) <= high for _, low, high in intervals])
    assert 0.92 <= covered <= 0.98
