"""Charts hold exactly what the records hold, keep a model's colour, and show nothing where there is nothing."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from kurswerk import reports
from kurswerk.market import Panel
from kurswerk.reports._candles import MOST_CANDLES, figure_candles
from kurswerk.reports._themes import DARK, LIGHT, Theme
from unit.reports.samples import cv_scores, evaluation_of, market

Json = Mapping[str, Any]


@pytest.fixture
def evaluations() -> dict[str, Json]:
    return {"forest": evaluation_of(1.0, 1).as_json(), "trees": evaluation_of(0.8, 2).as_json()}


def trace(figure: Any, name: str) -> Any:
    (found,) = [
        one for one in figure.data if one.name.startswith(name) and one.type == "scatter" and "line" in one.mode
    ]
    return found


def test_precision_recall_holds_the_stored_curve(evaluations: dict[str, Json]) -> None:
    figure = reports.figure_precision_recall(evaluations)
    for name, evaluation in evaluations.items():
        curve = evaluation["curves"]["precision_recall"]
        line = trace(figure, name)
        assert list(line.x) == curve["recall"]
        assert list(line.y) == curve["precision"]
    rate = evaluations["forest"]["metrics"]["base_rate"]["value"]
    (base,) = [one for one in figure.data if one.name.startswith("base rate")]
    assert list(base.y) == [rate, rate]
    marks = [one for one in figure.data if one.name == "persistence"]
    metrics = evaluations["forest"]["baselines"]["persistence"]
    assert (marks[0].x[0], marks[0].y[0]) == (metrics["recall"]["value"], metrics["precision"]["value"])
    assert [one.showlegend for one in marks] == [True, False]
    at = [one for one in figure.data if one.name.startswith("forest at threshold 0.35")]
    assert at[0].x[0] == evaluations["forest"]["metrics"]["recall"]["value"]


def test_roc_calibration_and_equity_hold_what_is_stored(evaluations: dict[str, Json]) -> None:
    forest = evaluations["forest"]
    line = trace(reports.figure_roc(evaluations), "forest")
    assert [list(line.x), list(line.y)] == [forest["curves"]["roc"]["fpr"], forest["curves"]["roc"]["tpr"]]
    filled = [one for one in forest["curves"]["calibration"] if one["count"]]
    figure = reports.figure_calibration(evaluations)
    line, bars = trace(figure, "forest"), next(one for one in figure.data if one.type == "bar")
    assert list(line.x) == [one["mean_probability"] for one in filled]
    assert list(line.y) == [one["positive_rate"] for one in filled]
    assert list(bars.y) == [one["count"] for one in filled]
    line = trace(reports.figure_equity(evaluations), "trees")
    assert list(line.x) == [one["timestamp"] for one in evaluations["trees"]["trades"]["equity"]]
    assert list(line.y) == [one["equity_pct"] for one in evaluations["trees"]["trades"]["equity"]]


def test_confusion_shows_the_four_counts_and_their_shares(evaluations: dict[str, Json]) -> None:
    counts = evaluations["forest"]["confusion_matrix"]
    figure = reports.figure_confusion(evaluations["forest"])
    assert [list(row) for row in figure.data[0].customdata] == [
        [counts["fn"], counts["tp"]],
        [counts["tn"], counts["fp"]],
    ]
    assert figure.data[0].z[0][1] == pytest.approx(evaluations["forest"]["metrics"]["recall"]["value"])
    assert [note.text.split("</b>")[0] for note in figure.layout.annotations] == [
        f"<b>{counts[key]:,}" for key in ("fn", "tp", "tn", "fp")
    ]


def test_confusion_of_one_class_has_no_share_of_nothing() -> None:
    figure = reports.figure_confusion({"confusion_matrix": {"tp": 0, "fn": 0, "tn": 5, "fp": 0}})
    assert "–" in figure.layout.annotations[0].text
    assert [list(row) for row in figure.data[0].z] == [[0.0, 0.0], [1.0, 0.0]]


def test_importance_shows_the_top_twenty_in_order() -> None:
    shares = {f"feature_{k}": k / 1000 for k in range(30)}
    bars = reports.figure_importance(shares).data[0]
    assert list(bars.y) == [f"feature_{k}" for k in range(29, 9, -1)]
    assert list(bars.x) == [k / 1000 for k in range(29, 9, -1)]


def test_folds_hold_both_sides() -> None:
    scores = cv_scores(1.0, 1)
    figure = reports.figure_folds({"forest": scores})
    assert list(figure.data[0].y) == scores["test_pr_auc"]
    assert list(figure.data[1].y) == scores["train_pr_auc"]
    assert list(figure.data[0].x) == scores["test_start"]


def test_advantage_and_metrics_hold_values_and_bounds(evaluations: dict[str, Json]) -> None:
    figure = reports.figure_advantage(evaluations)
    dots, whiskers = figure.data[:2]
    stored = [
        evaluations["forest"]["differences"][name]["pr_auc"] for name in ("volatility", "persistence", "base_rate")
    ]
    assert list(dots.x) == [one["value"] for one in stored]
    assert list(whiskers.x) == [bound for one in stored for bound in (one["low"], one["high"], None)]
    low, high = figure.layout.xaxis.range
    assert low < 0 < max(one["high"] for one in stored) < high
    sides = {name: one["metrics"] for name, one in evaluations.items()}
    assert list(reports.figure_metrics(sides).data[0].x) == [
        evaluations["forest"]["metrics"][name]["value"] for name in ("pr_auc", "roc_auc", "f1", "precision", "recall")
    ]


def test_an_estimate_without_bounds_is_a_dot_alone() -> None:
    figure = reports.figure_metrics({"m": {"pr_auc": {"value": 0.5, "low": None, "high": None}}})
    assert (list(figure.data[0].x), list(figure.data[1].x)) == ([0.5], [])
    assert figure.data[0].customdata[0][0] == "–"


@pytest.mark.parametrize(
    "draw",
    [
        reports.figure_precision_recall,
        reports.figure_roc,
        reports.figure_calibration,
        reports.figure_equity,
        reports.figure_advantage,
        reports.figure_metrics,
        reports.figure_folds,
    ],
)
@pytest.mark.parametrize(
    "empty", [{}, {"a": {}}, {"a": {"curves": {"precision_recall": None, "roc": None}, "trades": None}}]
)
def test_nothing_gives_no_traces(draw: Callable[..., Any], empty: dict[str, Json]) -> None:
    assert len(draw(empty).data) == 0


def test_what_decides_nothing_has_no_mark(evaluations: dict[str, Json]) -> None:
    silent = {**evaluations["forest"], "confusion_matrix": {"tp": 0, "fp": 0, "tn": 9, "fn": 1}}
    zero = {"recall": {"value": 0.0}, "precision": {"value": 0.0}}
    figure = reports.figure_precision_recall({"m": {**silent, "baselines": {"volatility": zero}}})
    assert [one.mode for one in figure.data] == ["lines", "lines"]


def test_nothing_gives_no_traces_for_one_model() -> None:
    assert len(reports.figure_confusion({}).data) == 0
    assert len(reports.figure_importance({}).data) == 0
    bins = [{"low": 0.0, "high": 0.1, "count": 0, "mean_probability": None, "positive_rate": None}]
    assert len(reports.figure_calibration({"a": {"curves": {"calibration": bins}}}).data) == 0
    undefined = {"test_pr_auc": [None], "train_pr_auc": [None], "test_start": ["2024-01-01T00:00:00Z"]}
    assert len(reports.figure_folds({"a": undefined}).data) == 0
    unknown = {"differences": {"volatility": {"pr_auc": {"value": None, "low": None, "high": None}}}}
    assert len(reports.figure_advantage({"a": unknown}).data) == 0


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_a_model_keeps_its_colour_where_another_has_nothing(evaluations: dict[str, Json], theme: Theme) -> None:
    both = {"silent": {}, "forest": evaluations["forest"]}
    for draw in (
        reports.figure_precision_recall,
        reports.figure_roc,
        reports.figure_calibration,
        reports.figure_equity,
    ):
        assert trace(draw(both, theme=theme), "forest").line.color == theme.palette[1]


def test_names_are_shown_literally_and_long_ones_cut(evaluations: dict[str, Json]) -> None:
    figure = reports.figure_roc({"<b>a</b> & c": evaluations["forest"], "x" * 255: evaluations["trees"]})
    assert figure.data[0].name.startswith("&lt;b&gt;a&lt;/b&gt; &amp; c")
    assert figure.data[1].name.startswith("x" * 31 + "…")


def test_charts_grow_with_the_number_of_models(evaluations: dict[str, Json]) -> None:
    many = {f"m{k}": evaluations["forest"] for k in range(8)}
    for draw in (
        reports.figure_precision_recall,
        reports.figure_roc,
        reports.figure_calibration,
        reports.figure_equity,
    ):
        assert draw(many).layout.height > draw(evaluations).layout.height


def test_colours_stand_out_from_their_ground_and_repeat_with_another_dash() -> None:
    for theme in (LIGHT, DARK):
        assert len(set(theme.palette)) == len(theme.palette)
        first, again = theme.line(0), theme.line(len(theme.palette))
        assert (first["color"], first["dash"]) != (again["color"], again["dash"])
        for color in theme.palette:
            assert contrast(color, theme.ground) > 3
        assert contrast(theme.muted, theme.ground) > 4.5
        assert theme.text_on("#ffffff", "#000000", 0.0) != theme.text_on("#ffffff", "#000000", 1.0)


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG, written here once more."""

    def luminance(color: str) -> float:
        channels = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return float(linear @ np.array([0.2126, 0.7152, 0.0722]))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_candles_join_rows_without_losing_a_price() -> None:
    panel = market()[0]
    (candles,) = figure_candles(panel).data
    rows = slice(0, int(panel.offsets[1]))
    assert len(candles.x) <= MOST_CANDLES < int(panel.offsets[1])
    assert candles.open[0] == panel.column("price_open")[0]
    assert candles.close[-1] == panel.column("price_close")[rows][-1]
    assert max(candles.high) == panel.column("price_high")[rows].max()
    assert min(candles.low) == panel.column("price_low")[rows].min()


def test_candles_of_few_rows_are_the_rows() -> None:
    times = np.arange(3) * 60_000_000
    price = np.array([1.0, np.nan, 3.0])
    whole = Panel.from_columns(["a"] * 3, times, {f"price_{name}": price for name in ("open", "high", "low", "close")})
    (candles,) = figure_candles(whole).data
    assert list(candles.close) == [1.0, 3.0]
    assert list(candles.x) == ["1970-01-01T00:00:00Z", "1970-01-01T00:02:00Z"]
    (line,) = figure_candles(Panel.from_columns(["a"] * 3, times, {"price_close": price})).data
    assert (line.type, list(line.y)) == ("scatter", [1.0, 3.0])


def test_candles_of_nothing() -> None:
    times = np.arange(2)
    for columns in ({"price_close": np.full(2, np.nan)}, {"volume_sol": np.ones(2)}):
        assert len(figure_candles(Panel.from_columns(["a", "a"], times, columns)).data) == 0
    assert len(figure_candles(Panel.from_columns([], times[:0], {"price_close": np.ones(0)})).data) == 0
