"""What is stated of stocks from time to time: fundamentals, sector and industry, membership of an index."""

from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType

from kurswerk.market.joined import AsOfTable, StatedValue

_SHARE = StatedValue(is_per_share=True)
_SIGNED_SHARE = StatedValue(is_per_share=True, signed=True)
_SIGNED = StatedValue(signed=True)

# Companies report each quarter; half a year without a word is silence.
FUNDAMENTALS = AsOfTable(
    name="stock_fundamentals",
    key="symbol",
    values=MappingProxyType(
        {
            "reference_price": _SHARE,
            "pe_ratio": _SIGNED,
            "pb_ratio": _SIGNED,
            "ps_ratio": StatedValue(),
            "eps": _SIGNED_SHARE,
            "book_value": _SIGNED_SHARE,
            "dividend_yield": StatedValue(),
            "market_cap": StatedValue(),
            "ebitda": _SIGNED,
            "low_52w": _SHARE,
            "high_52w": _SHARE,
            "debt_to_equity": _SIGNED,
            "return_on_equity": _SIGNED,
        }
    ),
    max_age=timedelta(days=183),
    per_share_view="stock_fundamentals_per_share",
    aliases=MappingProxyType(
        {
            "price": "reference_price",
            "pe": "pe_ratio",
            "p/e": "pe_ratio",
            "price/earnings": "pe_ratio",
            "pb": "pb_ratio",
            "price/book": "pb_ratio",
            "ps": "ps_ratio",
            "price/sales": "ps_ratio",
            "earnings/share": "eps",
            "earnings_per_share": "eps",
            "book_value_per_share": "book_value",
            "market_capitalization": "market_cap",
            "52_week_low": "low_52w",
            "52_week_high": "high_52w",
            "debt/equity": "debt_to_equity",
            "roe": "return_on_equity",
        }
    ),
)
# Reclassifications are rare: what was true a year ago mostly is.
CLASSIFICATIONS = AsOfTable(
    name="stock_classifications",
    key="symbol",
    values=MappingProxyType(
        {
            "sector": StatedValue("smallint"),
            "industry": StatedValue("integer"),
            "in_sp500": StatedValue("smallint"),
        }
    ),
    max_age=timedelta(days=731),
)
# Name of an index, as commands take it → the column that holds 1 for its members and 0 for those that left it.
INDEXES = {"sp500": "in_sp500"}


def stock_tables(interval_suffix: str = "") -> tuple[AsOfTable, ...]:
    """Return the tables that stocks join values from; bars of each interval have a view of values per share."""
    return replace(FUNDAMENTALS, per_share_view=f"{FUNDAMENTALS.per_share_view}{interval_suffix}"), CLASSIFICATIONS
