"""The simulated market and the specifications of the recordings."""

from typing import Any

MARKET = ("--coins", "24", "--hours", "3", "--seed", "7720")
TRAINED = {"train_start": "2025-01-01T00:00:00Z", "train_end": "2025-01-01T02:00:00Z"}
TESTED = ("2025-01-01T02:11:00Z", "2025-01-01T03:00:00Z")
# The stream begins where the market ends.
STREAM = ("--coins", "90", "--hours", "3", "--seed", "7721", "--start", "2025-01-01T03:00:00Z")

_RISE = {
    "target_var": "price_close",
    "use_time_based_prediction": True,
    "future_minutes": 10,
    "min_percent_change": 20,
    "direction": "up",
}
INDICATORS = (
    "sma_20", "ema_20", "rsi_14", "macd_12_26_9", "macd_signal_12_26_9", "macd_histogram_12_26_9", "stddev_14",
    "zscore_14", "bollinger_upper_20_2", "bollinger_middle_20_2", "bollinger_lower_20_2",
    "bollinger_percent_b_20_2", "bollinger_width_20_2", "true_range", "atr_14", "atr_pct_14", "plus_di_14",
    "minus_di_14", "dx_14", "adx_14", "adxr_14", "stochastic_k_14_3", "stochastic_d_14_3_3",
    "stochastic_j_14_3_3", "momentum_14", "roc_14", "cci_20", "mfi_14", "obv", "williams_r_14", "sma_5", "ema_7",
    "rsi_30", "macd_5_10_3", "roc_1",
)  # fmt: skip
COLUMNS = (
    "phase_id_at_time", "price_open", "price_high", "price_low", "price_close", "bonding_curve_pct",
    "virtual_sol_reserves", "is_koth", "volume_sol", "buy_volume_sol", "sell_volume_sol", "net_volume_sol",
    "num_buys", "num_sells", "unique_wallets", "num_micro_trades", "dev_sold_amount", "max_single_buy_sol",
    "max_single_sell_sol", "buy_pressure_ratio", "unique_signer_ratio", "whale_buy_volume_sol",
    "whale_sell_volume_sol", "num_whale_buys", "num_whale_sells", "volatility_pct", "avg_trade_size_sol",
    "sol_price_usd", "market_cap_close",
)  # fmt: skip

FOREST: dict[str, Any] = {
    "name": "golden-forest",
    "model_type": "random_forest",
    "features": ["volume_sol", "buy_pressure_ratio", "num_whale_buys", "rsi_14"],
    **TRAINED,
    **_RISE,
    "use_engineered_features": True,
    "feature_engineering_windows": [5, 10],
    "cv_splits": 2,
    "params": {"n_estimators": 20, "max_depth": 6},
    "description": "a forest on resampled rows",
}
BOOSTED: dict[str, Any] = {
    "name": "golden-xgboost",
    "model_type": "xgboost",
    "features": ["volume_sol", "unique_signer_ratio", "ema_20", "obv", "macd_histogram_12_26_9"],
    **TRAINED,
    **_RISE,
    "horizon_mode": "within",
    "use_engineered_features": True,
    "use_smote": False,
    "cv_splits": 2,
    "params": {"n_estimators": 20, "max_depth": 4},
}
# Its record names the hash of every feature there is.
CATALOGUE: dict[str, Any] = {
    "name": "golden-catalogue",
    "model_type": "xgboost",
    "features": [*COLUMNS, *INDICATORS],
    **TRAINED,
    "target_var": "num_buys",
    "operator": ">",
    "target_value": 3,
    "use_engineered_features": True,
    "feature_engineering_windows": [2, 5, 10, 15, 60],
    "use_smote": False,
    "use_timeseries_split": False,
    "params": {"n_estimators": 2, "max_depth": 2},
}
# Trained by a job; small, of one phase and without cross-validation.
ORDERED: dict[str, Any] = {
    "name": "golden-ordered",
    "model_type": "xgboost",
    "features": ["volume_sol", "price_close"],
    **TRAINED,
    "target_var": "market_cap_close",
    "operator": ">=",
    "target_value": 40,
    "use_smote": False,
    "use_timeseries_split": False,
    "params": {"n_estimators": 5, "max_depth": 3},
    "description": "ordered over REST",
}
CANDLES = """symbol,date,open,high,low,close,volume
GOLDEN,2025-02-01T00:00:00Z,1.0,1.2,0.9,1.1,10
GOLDEN,2025-02-01T00:01:00Z,1.1,1.3,1.0,1.2,12
GOLDEN,2025-02-01T00:01:00Z,1.1,1.3,1.0,1.2,12
GOLDEN,2025-02-01T00:02:00Z,1.2,1.1,1.0,1.2,9
GOLDEN,2025-02-01T00:03:00Z,1.2,1.4,1.1,1.3,-4
GOLDEN,2025-02-01T00:04:00Z,1.3,1.5,1.2,1.4,11
"""
