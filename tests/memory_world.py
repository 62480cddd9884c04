"""A feed and a registry in memory, as a world for the contract of feed sessions and for tests of lanes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from kurswerk.features import FeaturePlan
from kurswerk.market import COINS, Panel
from kurswerk.models import as_model_input
from kurswerk.registry import load_model
from kurswerk.serving.ports import ActiveModel
from memory_feed import MemoryFeed, MemoryFeedSession
from memory_market import MemoryRegistry
from served_models import COLUMNS, WINDOWED, register_in


class MemoryWorld:
    """A feed and a registry in memory."""

    def __init__(self) -> None:
        self.feed, self.models = MemoryFeed(), MemoryRegistry()

    def write(self, rows: Mapping[tuple[str, int], Sequence[float]]) -> None:
        self.feed.write({key: dict(zip(COLUMNS, values, strict=True)) for key, values in rows.items()})

    def register(self, name: str, features: Sequence[str] = WINDOWED, threshold: float = 0.7, **options: Any) -> int:
        number = register_in(self.models, name, features, **options)
        record = replace(self.models.records[number], is_active=True, alert_threshold=threshold)
        self.models.records[number] = record
        self.feed.models.append(ActiveModel(number, name, str(record.artifact_sha256), threshold, 0))
        return number

    def open_session(self) -> MemoryFeedSession:
        return MemoryFeedSession(self.feed)

    def drop_column(self, name: str) -> None:
        self.feed.drop_column(name)

    def add_column(self, name: str) -> None:
        self.feed.add_column(name)

    def add_rate(self, us: int, price: float) -> None:
        self.feed.add_rate(us)

    def predictions(self) -> dict[tuple[str, int, int], np.float32]:
        return {key: entry[1] for key, entry in self.feed.tables.predictions.items()}

    def expected(self, model_ids: Sequence[int]) -> dict[tuple[str, int, int], np.float32]:
        rows = self.feed.tables.rows
        columns = {name: np.array([row.get(name, np.nan) for row in rows.values()]) for name in COLUMNS}
        panel = Panel.from_columns([name for name, _ in rows], np.array([us for _, us in rows]), columns)
        names = np.repeat(panel.instruments, np.diff(panel.offsets))
        found = {}
        for number in model_ids:
            record = self.models.get(number)
            features = FeaturePlan(record.features, COINS).compute(panel)
            scores = load_model(record, self.models).predict_proba(as_model_input(features))
            for name, us, score in zip(names, panel.timestamps.tolist(), scores, strict=True):
                found[str(name), us, number] = np.float32(score)
        return found
