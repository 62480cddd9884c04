"""What a training would learn from, before it is ordered."""

import random
from dataclasses import dataclass
from typing import Final

import numpy as np

from kurswerk.dashboard.callbacks.app import DashboardApp
from kurswerk.dashboard.widgets.market_choice import availability
from kurswerk.labels import compute_labels, latest_deadline
from kurswerk.training import ModelSpec

_MAX_ROWS: Final = 300_000
_PHASE: Final = "phase_id_at_time"


@dataclass(frozen=True)
class Estimate:
    """Rows that take part, and how many of those looked at have their label and come true.

    Attributes
    ----------
    rows
        That a training would have, all coins taken together.
    share
        That comes true, in [0, 1]; None without rows.
    sampled_coins
        How many coins were looked at; None is all.
    """

    rows: int
    share: float | None
    sampled_coins: int | None


def estimate_base_rate(app: DashboardApp, spec: ModelSpec) -> Estimate:
    """Label the rows of a specification; in a large market those of some coins."""
    key = (
        "estimate",
        spec.market,
        spec.train_start,
        spec.train_end,
        spec.phases,
        spec.mints,
        spec.label_spec(),
        availability(app, spec.market_schema),
    )
    return app.cache.get(key, lambda: _estimate(app, spec), max_age_s=300)


def _estimate(app: DashboardApp, spec: ModelSpec) -> Estimate:
    market = app.services.markets[spec.market]
    coins = list(spec.mints) if spec.mints is not None else list(market.instruments())
    about = market.estimated_rows(end_us=spec.train_end_us, mints=spec.mints)
    chosen = None
    if about > _MAX_ROWS and len(coins) > 1:
        most = max(len(coins) * _MAX_ROWS // about, 1)
        chosen = sorted(random.Random(0).sample(coins, min(most, len(coins))))  # noqa: S311  # nosec B311 - a sample, no secret
    columns = [spec.target_var, *([_PHASE] if spec.phases is not None else [])]
    label = spec.label_spec()
    panel = market.load_panel(
        list(dict.fromkeys(columns)),
        start_us=spec.train_start_us,
        end_us=latest_deadline(spec.train_end_us, label),
        mints=chosen if chosen is not None else spec.mints,
    )
    if not len(panel):
        return Estimate(0, None, None if chosen is None else len(chosen))
    labels = compute_labels(panel, label)
    # A label that looks past the end of training is left out there too.
    within = (labels.values >= 0) & (panel.timestamps <= spec.train_end_us) & (labels.end_us <= spec.train_end_us)
    if spec.phases is not None:
        within &= np.isin(panel.column(_PHASE), spec.phases)
    rows = int(np.count_nonzero(within))
    scale = 1.0 if chosen is None else len(coins) / len(chosen)
    share = float(np.mean(labels.values[within] == 1)) if rows else None
    return Estimate(round(rows * scale), share, None if chosen is None else len(chosen))
