"""Numbers, times and names as a person reads them."""

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

NOTHING: Final = "–"
MINUS: Final = "−"

# What a metric is called, whether more is better (None: neither), and what it measures.
METRICS: Final[dict[str, tuple[str, bool | None, str]]] = {
    "pr_auc": ("PR-AUC", True, "how many of the rows ranked high come true; the base rate is what chance would give"),
    "roc_auc": ("ROC-AUC", True, "how often a row that comes true ranks above one that does not; 0.5 is chance"),
    "f1": ("F1", True, "balance of precision and recall at the threshold"),
    "precision": ("precision", True, "share of the predicted rows that came true"),
    "recall": ("recall", True, "share of the rows that came true which were predicted"),
    "accuracy": ("accuracy", True, "share of all rows decided rightly; flatters when few rows come true"),
    "mcc": ("MCC", True, "correlation of decision and truth, from −1 to 1; 0 is chance"),
    "fpr": ("false positive rate", False, "share of the rows that did not come true but were predicted"),
    "fnr": ("false negative rate", False, "share of the rows that came true but were missed"),
    "brier": ("Brier", False, "mean squared error of the probability; lower is better"),
    "log_loss": ("log loss", False, "mean surprise of the truth in nats; lower is better"),
    "base_rate": ("base rate", None, "share of the rows that came true"),
    "simulated_profit_pct": ("net return per trade, %", True, "mean over the simulated trades, after fee and slippage"),
}
BASELINES: Final[dict[str, str]] = {
    "volatility": "ranking by recent volatility",
    "persistence": "persistence",
    "base_rate": "the base rate",
}
_SECRET = re.compile(r"(://[^/\s:@]*):[^/\s]*@|((?:password|sslpassword)=)[^&\s]*", re.IGNORECASE)


def number(value: Any, digits: int = 3) -> str:
    """Write a number with so many decimals, more for a small one, thousands parted.

    Examples
    --------
    >>> number(0.31416), number(0.00123), number(923030), number(None), number(-1.5, 2)
    ('0.314', '0.0012', '923,030', '–', '−1.50')
    """
    if value is None or isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return NOTHING
    if isinstance(value, int):
        text = f"{value:,}"
    elif value != 0 and abs(value) < 10.0 ** (1 - digits):
        text = f"{value:.2g}"
    else:
        text = f"{value:,.{digits}f}"
    return text.replace("-", MINUS)


def signed(value: Any, digits: int = 3) -> str:
    """Write a number with its sign.

    Examples
    --------
    >>> signed(0.05), signed(-0.05), signed(None)
    ('+0.050', '−0.050', '–')
    """
    text = number(value, digits)
    return text if text == NOTHING or text.startswith(MINUS) else f"+{text}"


def percent(share: Any, digits: int = 1) -> str:
    """Write a share as percent.

    Examples
    --------
    >>> percent(0.1234), percent(None)
    ('12.3 %', '–')
    """
    return NOTHING if share is None else f"{number(100 * share, digits)} %"


def moment(value: datetime | str | None) -> str:
    """Write a moment in UTC, to the minute.

    Examples
    --------
    >>> moment("2024-07-01T02:00:00+02:00"), moment(None)
    ('2024-07-01 00:00', '–')
    """
    if value is None:
        return NOTHING
    return f"{as_utc(value):%Y-%m-%d %H:%M}"


def as_utc(value: datetime | str) -> datetime:
    """Return a moment in UTC; a naive one is UTC already."""
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def duration(seconds: float | None) -> str:
    """Write how long something took.

    Examples
    --------
    >>> duration(0.042), duration(3.21), duration(75), duration(7260), duration(None)
    ('42 ms', '3.2 s', '1 min 15 s', '2 h 1 min', '')
    """
    if seconds is None:
        return ""
    # Compared as they will be written, so that no unit shows a thousand or sixty of itself.
    if round(1000 * seconds) < 1000:
        return f"{1000 * seconds:.0f} ms"
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds) // 60
    if minutes < 60:
        return f"{minutes} min {round(seconds) % 60} s"
    return f"{minutes // 60} h {minutes % 60} min"


def span(length: timedelta) -> str:
    """Write how long a period is, roughly.

    Examples
    --------
    >>> span(timedelta(days=69)), span(timedelta(hours=30)), span(timedelta(minutes=50))
    ('69 days', '30 hours', '50 minutes')
    """
    seconds = length.total_seconds()
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}s"
    return f"{seconds:,.0f} seconds"


def shortened(name: str, at_most: int = 32) -> str:
    """Cut a long name for a legend.

    Examples
    --------
    >>> shortened("forest"), shortened("x" * 40, 8)
    ('forest', 'xxxxxxx…')
    """
    return name if len(name) <= at_most else f"{name[: at_most - 1]}…"


def without_secret(text: str) -> str:
    """Mask a password in an address.

    Examples
    --------
    >>> without_secret("postgresql://me:secret@host/db?sslmode=require")
    'postgresql://me:•••@host/db?sslmode=require'
    """
    return _SECRET.sub(lambda found: f"{found[1]}:•••@" if found[1] is not None else f"{found[2]}•••", text)
