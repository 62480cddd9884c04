"""Kurswerk: one platform for machine learning on markets.

For notebooks and scripts::

    import kurswerk as kw

    bars = kw.read(frame, instrument="AAPL")
    model = kw.train({"model_type": "xgboost", "features": ["rsi_14", "price_change_5"],
                      "future_minutes": 60, "min_percent_change": 1, "direction": "up"}, bars)

What it offers is imported when it is first asked for: ``import kurswerk`` alone costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kurswerk.library import Bars, Model, Store, load, open_store, read, train

__version__ = "0.1.0"
__all__ = ["Bars", "Model", "Store", "__version__", "load", "open_store", "read", "train"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'kurswerk' has no attribute {name!r}; it offers {', '.join(__all__)}")
    # Late, since pydantic and the numerical libraries take seconds to import.
    import_module("kurswerk.bootstrap.environment").prepare_numerics()
    value = getattr(import_module("kurswerk.library"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
