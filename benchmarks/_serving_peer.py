"""The usual way to predict a new row: history by SQL, features by pandas, a model at a time, a row at a time."""

import time
from collections.abc import Sequence

import numpy as np
import pandas as pd
import psycopg

from kurswerk.models import Estimator
from kurswerk.storage.predictions import create_partitions
from kurswerk.storage.server import Database

_HISTORY = 'SELECT * FROM coin_metrics WHERE mint = %s ORDER BY "timestamp" DESC LIMIT 20'
_INSERT = (
    'INSERT INTO predictions (coin_id, "timestamp", model_id, prediction, probability) VALUES (%s, %s, %s, %s, %s)'
)
_WINDOWS = (5, 10, 15)


_NEWEST = """
SELECT DISTINCT (extract(epoch FROM "timestamp") * 1000000)::bigint FROM (
    SELECT mint, max("timestamp") AS "timestamp" FROM coin_metrics WHERE mint = ANY (%s) GROUP BY mint) newest"""


class SqlPredictor:
    """What the plan of the older service describes, with the same models and as many features."""

    def __init__(self, database: Database, fitted: Sequence[tuple[int, Estimator]]) -> None:
        self._url, self._fitted = database.url, fitted

    def seconds_per_row(self, coins: Sequence[str]) -> float:
        """Predict the newest row of each coin with all models; return the mean time."""
        with psycopg.connect(self._url) as connection:
            _create_partitions(connection, coins)
            started = time.perf_counter()
            for coin in coins:
                self._predict(connection, coin)
            return (time.perf_counter() - started) / len(coins)

    def forget(self) -> None:
        """Remove what was stored."""
        with psycopg.connect(self._url) as connection:
            connection.execute("TRUNCATE predictions, prediction_alerts")

    def _predict(self, connection: psycopg.Connection, coin: str) -> None:
        cursor = connection.execute(_HISTORY, [coin])
        columns = [column.name for column in cursor.description or ()]
        history = pd.DataFrame(cursor.fetchall(), columns=columns).iloc[::-1]
        features = pandas_features(history).iloc[-1].to_numpy(dtype=np.float32)
        for model_id, classifier in self._fitted:
            wanted = len(classifier.feature_importance_)
            row = np.resize(features, (1, wanted))
            probability = float(classifier.predict_proba(row)[0])
            values = [coin, history["timestamp"].iloc[-1], model_id, int(probability >= 0.5), probability]
            connection.execute(_INSERT, values)
            connection.commit()


def pandas_features(history: pd.DataFrame) -> pd.DataFrame:
    """Compute the usual features of a coin's rows with pandas, window by window."""
    found = {"price_close": history["price_close"]}
    close, volume = history["price_close"], history["volume_sol"]
    for window in _WINDOWS:
        mean_volume = volume.rolling(window).mean()
        found[f"price_change_{window}"] = close.pct_change(window, fill_method=None)
        found[f"price_volatility_{window}"] = close.rolling(window).std()
        found[f"price_range_{window}"] = (
            history["price_high"].rolling(window).max() - history["price_low"].rolling(window).min()
        )
        found[f"mcap_velocity_{window}"] = history["market_cap_close"].diff(window) / window
        found[f"volume_ratio_{window}"] = volume / mean_volume
        found[f"volume_spike_{window}"] = (volume > 2 * mean_volume).astype(float)
        found[f"buy_pressure_ma_{window}"] = history["buy_pressure_ratio"].rolling(window).mean()
        found[f"volatility_ma_{window}"] = history["volatility_pct"].rolling(window).mean()
        found[f"net_volume_ma_{window}"] = history["net_volume_sol"].rolling(window).mean()
        found[f"whale_activity_{window}"] = (
            (history["whale_buy_volume_sol"] + history["whale_sell_volume_sol"]).rolling(window).sum()
        )
    high = close.cummax()
    found["ath_distance_pct"] = 100 * (high - close) / high
    found["buy_sell_ratio"] = history["buy_volume_sol"] / history["sell_volume_sol"]
    return pd.DataFrame(found)


def _create_partitions(connection: psycopg.Connection, coins: Sequence[str]) -> None:
    """Create what the predictions need, as a database with predictions of such rows has it."""
    rows = connection.execute(_NEWEST, [list(coins)]).fetchall()
    create_partitions(connection, np.array([row[0] for row in rows], dtype=np.int64))
    connection.commit()
