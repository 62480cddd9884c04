"""Paired tests of two models."""

import json

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from kurswerk.core.errors import DataError
from kurswerk.core.timestamps import HOUR_US
from kurswerk.evaluation import Bootstrap, compare_paired, mcnemar, pr_auc, winner

QUICK = Bootstrap(replicates=80)


def test_winner_is_decided_by_f1() -> None:
    assert winner(0.5, 0.4) == "a"
    assert winner(0.4, 0.5) == "b"
    assert winner(0.4, 0.4) is None


@given(st.integers(0, 24), st.integers(0, 24))
def test_few_discordant_rows_are_tested_exactly(b: int, c: int) -> None:
    assume(b + c < 25)
    found = mcnemar(b, c)
    assert found.p_value == pytest.approx(stats.binomtest(b, b + c).pvalue if b + c else 1.0)
    assert found.method == "exact binomial"


@given(st.integers(0, 10_000), st.integers(25, 10_000))
def test_many_discordant_rows_are_tested_by_chi_squared(b: int, c: int) -> None:
    found = mcnemar(b, c)
    squared = max(abs(b - c) - 1, 0) ** 2 / (b + c)
    assert found.p_value == pytest.approx(stats.chi2.sf(squared, 1), rel=1e-9, abs=1e-300)
    assert found.method == "chi-squared"


def test_many_discordant_rows_by_the_book() -> None:
    # Agresti, Categorical Data Analysis: approval of a prime minister, 86 and 150 changed their minds;
    # with the correction (|86 - 150| - 1)^2 / 236 = 16.818, and P(chi2 with 1 df > 16.818) = 4.115e-05.
    assert mcnemar(86, 150).p_value == pytest.approx(4.115e-05, rel=1e-3)
    assert mcnemar(150, 86).p_value == mcnemar(86, 150).p_value
    assert mcnemar(50, 50).p_value == 1.0


@pytest.fixture
def rows() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(8)
    n = 8 * 200
    signal = rng.normal(0, 1, n)
    good, poor = (1 / (1 + np.exp(-(signal + rng.normal(0, noise, n)))) for noise in (0.2, 3.0))
    return {
        "y": (signal + rng.normal(0, 0.5, n) > 0.8).astype(int),
        "p_a": good,
        "p_b": poor,
        "codes": np.repeat(np.arange(8), 200),
        "timestamps": np.tile(np.arange(200), 8) * HOUR_US,
    }


def test_a_better_model_is_found_out(rows: dict[str, np.ndarray]) -> None:
    found = compare_paired(**rows, names=("good", "poor"), bootstrap=QUICK)
    assert found.more_than_luck
    assert found.differences["pr_auc"].value == pytest.approx(
        pr_auc(rows["y"], rows["p_a"]) - pr_auc(rows["y"], rows["p_b"])
    )
    assert found.sentence.startswith("good ranks better (PR-AUC good ")
    assert "is more than luck." in found.sentence
    assert "good errs less often" in found.sentence
    assert found.mcnemar.p_value < 0.001
    json.dumps(found.as_json(), allow_nan=False)


def test_swapped_models_swap_the_answer(rows: dict[str, np.ndarray]) -> None:
    straight = compare_paired(**rows, bootstrap=QUICK)
    swapped = compare_paired(**{**rows, "p_a": rows["p_b"], "p_b": rows["p_a"]}, bootstrap=QUICK)
    a, b = straight.differences["pr_auc"], swapped.differences["pr_auc"]
    assert (a.value, a.low, a.high) == pytest.approx((-b.value, -b.high, -b.low))
    assert swapped.sentence.startswith("B ranks better")
    assert "B errs less often" in swapped.sentence
    assert swapped.mcnemar.p_value == straight.mcnemar.p_value


def test_identical_models_are_a_draw(rows: dict[str, np.ndarray]) -> None:
    found = compare_paired(**{**rows, "p_b": rows["p_a"]}, bootstrap=QUICK)
    assert found.differences["pr_auc"].as_json() == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert not found.more_than_luck
    assert found.mcnemar.p_value == 1.0
    assert "rank equally well" in found.sentence
    assert "may be luck" in found.sentence
    assert "err about equally often" in found.sentence


def test_two_equally_noisy_models_seldom_differ_beyond_luck() -> None:
    significant = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        signal = rng.normal(0, 1, 8 * 60)
        p_a, p_b = (1 / (1 + np.exp(-(signal + rng.normal(0, 1, len(signal))))) for _ in range(2))
        y = (signal + rng.normal(0, 1, len(signal)) > 0.8).astype(int)
        codes, times = np.repeat(np.arange(8), 60), np.tile(np.arange(60), 8) * HOUR_US
        significant += compare_paired(y, p_a, p_b, codes, times, bootstrap=QUICK).more_than_luck
    assert significant <= 4


def test_thresholds_are_each_model_s_own(rows: dict[str, np.ndarray]) -> None:
    found = compare_paired(**{**rows, "p_b": rows["p_a"]}, thresholds=(0.5, 1.1), bootstrap=QUICK)
    assert found.b["recall"].value == 0.0
    assert found.a["recall"].value > 0.5


def test_no_positive_row_and_too_little_data(rows: dict[str, np.ndarray]) -> None:
    none = compare_paired(**{**rows, "y": np.zeros_like(rows["y"])}, bootstrap=QUICK)
    assert none.sentence.startswith("No row is positive")
    few = compare_paired(
        np.array([0, 1]),
        np.array([0.1, 0.9]),
        np.array([0.9, 0.1]),
        np.array([0, 0]),
        np.array([0, 0]),
        bootstrap=QUICK,
    )
    assert "too few coins" in few.sentence
    assert not few.more_than_luck


def test_refused(rows: dict[str, np.ndarray]) -> None:
    with pytest.raises(DataError, match="instruments"):
        compare_paired(**{**rows, "codes": rows["codes"][1:]})
    with pytest.raises(DataError, match="one of each per row"):
        compare_paired(**{**rows, "p_b": rows["p_b"][1:]})
