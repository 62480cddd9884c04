"""Features of users, registered by name beside Kurswerk's own."""

import re

from kurswerk.core.errors import SpecError
from kurswerk.features._kind import Kind
from kurswerk.features._names import KINDS, OWN_KINDS, forget_resolved
from kurswerk.market import MARKETS

_MOST_PARAMETERS = 4
_OWN_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z][a-z0-9]*)*", re.ASCII)


def register_own(kind: Kind) -> None:
    """Add a kind of feature that is not Kurswerk's own, or replace the one of this name, as a notebook does.

    A model that was trained with another definition is refused by its hash.

    Raises
    ------
    SpecError
        If its name is no lower-case name, a part of it is a number, which would read as a parameter, it has more than
        four parameters, or it is the name of another feature or of a column of any market.
    """
    if not _OWN_NAME.fullmatch(kind.name) or len(kind.params) > _MOST_PARAMETERS:
        raise SpecError("feature.own_name_not_usable", name=kind.name, most=_MOST_PARAMETERS)
    columns = {column for market in MARKETS.values() for column in market.panel_columns}
    if kind.name in {*KINDS, *columns}:
        raise SpecError("feature.own_name_taken", name=kind.name)
    OWN_KINDS[kind.name] = kind
    forget_resolved()
