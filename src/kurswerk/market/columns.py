"""From a file's names of columns to a market's."""

from collections.abc import Iterable

from kurswerk.market.schema import MarketSchema


def map_columns(names: Iterable[str], market: MarketSchema, *, joined: bool = False) -> dict[str, str]:
    """Map a file's column names to a market's; names that mean nothing there are left out.

    The market's own name wins over one that differs in case, and that over an alias, whatever their order; among equals
    the first. Case and surrounding blanks do not count, and blanks and hyphens inside are underscores.

    Parameters
    ----------
    names
        Columns of the file.
    market
        Whose key, timestamp and columns are looked for.
    joined
        Look for its joined columns too.

    Returns
    -------
    dict
        File's name → the market's; each of the market's at most once.

    Examples
    --------
    >>> from kurswerk.market import COINS
    >>> map_columns(["Symbol", "ts", "open", "remark"], COINS)
    {'Symbol': 'mint', 'ts': 'timestamp', 'open': 'price_open'}
    """
    ours = {market.key, market.timestamp, *(market.panel_columns if joined else market.columns)}
    aliases = market.file_aliases()
    normal = {name: name.strip().lower().replace(" ", "_").replace("-", "_") for name in names}
    own = {low if name in ours else "": name for name, low in normal.items()}
    like = {low if low in ours else "": name for name, low in reversed(normal.items())}
    other = {aliases.get(low, ""): name for name, low in reversed(normal.items())}
    chosen = {**other, **like, **own}
    mapping = {name: target for target, name in chosen.items() if target}
    return {name: mapping[name] for name in normal if name in mapping}
