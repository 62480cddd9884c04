"""How many predictions are stored a minute: one definition for all pages, from the counts the database keeps."""

from collections.abc import Sequence
from typing import Any, Final

from kurswerk.dashboard.callbacks.app import DashboardApp
from kurswerk.dashboard.ports import MinuteCount
from kurswerk.dashboard.widgets.components import stat
from kurswerk.dashboard.words.user_context import UserContext

RATE_MINUTES: Final = 5
# Pages are renewed every few seconds, each by several readers.
_MAX_AGE_S: Final = 3.0


def minute_counts(app: DashboardApp, minutes: int) -> Sequence[MinuteCount]:
    """Return how many predictions were stored in each of the last full minutes, oldest first."""
    live = app.services.live
    if live is None:
        return ()
    return app.cache.get(("minute-counts", minutes), lambda: live.minute_counts(minutes), max_age_s=_MAX_AGE_S)


def prediction_rate(counts: Sequence[MinuteCount]) -> float | None:
    """Return predictions per minute: the mean of the last `RATE_MINUTES` full minutes; None without counts.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> prediction_rate([MinuteCount(datetime(2024, 1, 1, 0, k, tzinfo=UTC), 10 * k) for k in range(8)])
    50.0
    """
    newest = counts[-RATE_MINUTES:]
    return sum(one.predictions for one in newest) / len(newest) if newest else None


def prediction_rate_stat(app: DashboardApp, user: UserContext) -> Any:
    """Return the rate as pages show it, with the window it is the mean of."""
    rate = prediction_rate(minute_counts(app, RATE_MINUTES))
    window = user.t("mean of the last {n} full minutes", n=RATE_MINUTES)
    return stat(user.t("Predictions per minute"), user.number(rate, 1), detail=window)
