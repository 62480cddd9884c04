"""Kurswerk for notebooks and scripts: what ``import kurswerk`` offers."""

from kurswerk.library._bars import Bars, read
from kurswerk.library._model import Model, load, train
from kurswerk.library._store import Store, open_store

__all__ = ["Bars", "Model", "Store", "load", "open_store", "read", "train"]
