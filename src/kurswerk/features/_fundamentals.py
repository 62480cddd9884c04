"""The features of stocks over fundamentals: what a source stated, against the price of the row.

Values per share and prices are in the same share: both are multiplied by the splits known at the row, so that a split
leaves every ratio as it was.
"""

from math import inf

from kurswerk.features._graph import Graph, plus
from kurswerk.features._kind import Catalogue
from kurswerk.market import Role

FUNDAMENTAL_FEATURES = Catalogue()

_YIELD = "https://www.investopedia.com/terms/e/earningsyield.asp"
_BOOK = "https://www.investopedia.com/terms/b/booktomarketratio.asp"
_RANGE = "https://www.investopedia.com/terms/1/52-week-range.asp"
_EBITDA = "https://www.investopedia.com/terms/e/ebitda.asp"
OWN = "Kurswerk contracts"


@FUNDAMENTAL_FEATURES.define(unit="ratio", low=-inf, high=inf, source=_YIELD)
def earnings_yield(g: Graph) -> int:
    """Earnings of a share, as last stated, against the close: eps / close."""
    return g.step("ratio", g.input("eps"), g.input(Role.CLOSE), p=1)


@FUNDAMENTAL_FEATURES.define(unit="ratio", low=-inf, high=inf, source=_BOOK)
def book_to_price(g: Graph) -> int:
    """Book value of a share, as last stated, against the close: book_value / close."""
    return g.step("ratio", g.input("book_value"), g.input(Role.CLOSE), p=1)


@FUNDAMENTAL_FEATURES.define(unit="percent", low=-100, high=inf, source=OWN)
def change_since_statement(g: Graph) -> int:
    """Change of the close since fundamentals were stated: 100 (close - reference_price) / reference_price."""
    return g.step("relative_change", g.input(Role.CLOSE), g.input("reference_price"), p=100)


@FUNDAMENTAL_FEATURES.define(unit="ratio", low=-inf, high=inf, source=OWN)
def pe_ratio_now(g: Graph) -> int:
    """Price-earnings ratio at the close: pe_ratio close / reference_price."""
    return _at_the_close(g, "pe_ratio")


@FUNDAMENTAL_FEATURES.define(unit="ratio", low=-inf, high=inf, source=OWN)
def pb_ratio_now(g: Graph) -> int:
    """Price-book ratio at the close: pb_ratio close / reference_price."""
    return _at_the_close(g, "pb_ratio")


@FUNDAMENTAL_FEATURES.define(unit="ratio", low=0, high=inf, source=OWN)
def ps_ratio_now(g: Graph) -> int:
    """Price-sales ratio at the close: ps_ratio close / reference_price."""
    return _at_the_close(g, "ps_ratio")


@FUNDAMENTAL_FEATURES.define(unit="currency", low=0, high=inf, source=OWN)
def market_cap_now(g: Graph) -> int:
    """Market capitalisation at the close: market_cap close / reference_price."""
    return _at_the_close(g, "market_cap")


@FUNDAMENTAL_FEATURES.define(unit="ratio", low=-inf, high=inf, source=_EBITDA)
def ebitda_yield(g: Graph) -> int:
    """Operating profit against the market capitalisation at the close: ebitda / market_cap_now."""
    return g.step("ratio", g.input("ebitda"), market_cap_now(g), p=1)


@FUNDAMENTAL_FEATURES.define(unit="ratio", low=-inf, high=inf, source=_RANGE)
def position_in_52w_range(g: Graph) -> int:
    """Where the close is in the range last stated, 0 its low, 1 its high: (close - low_52w) / (high_52w - low_52w)."""
    close, low, high = g.input(Role.CLOSE), g.input("low_52w"), g.input("high_52w")
    return g.step("ratio", plus(g, close, low, -1.0), plus(g, high, low, -1.0), p=1)


def _at_the_close(g: Graph, column: str) -> int:
    """Return a value that moves with the price, brought from the price at which it was stated to the close."""
    scaled = g.step("ratio", g.input(Role.CLOSE), g.input("reference_price"), p=1)
    return g.step("product", g.input(column), scaled)
