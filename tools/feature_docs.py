"""Write docs/features.md from what the feature library declares; with --check, report whether it is up to date."""

import sys
from pathlib import Path

from kurswerk.features import Feature, registered_features
from kurswerk.market import COINS, market_named

TARGET = Path(__file__).resolve().parents[1] / "docs" / "features.md"
HEAD = """# Features

Written by `tools/feature_docs.py` from the library's own declarations.

Every name below may stand in a specification's `features`, with any window or parameters: `rsi_14`, `rsi_30`,
`price_change_240`. So may each column of `coin_metrics`. `use_engineered_features` adds the engineered ones whose
inputs the data have, for each of `feature_engineering_windows`. The inputs shown are those of coins; other markets have
their own columns in the same roles, and stocks the features over fundamentals at the end.

Windows count rows of one coin, the row's own included. A feature is NaN until its look-back is full and where an input
inside it is missing; where a formula divides by zero it is NaN too. A *recursive* feature looks at all earlier rows
through a small stored state.

| name | unit | range | look-back | inputs |
|---|---|---|---|---|
"""


def row(feature: Feature) -> str:
    """Return a feature's line in the table."""
    low, high = (f"{bound:g}" for bound in feature.range)
    lookback = "recursive" if feature.lookback is None else str(feature.lookback)
    inputs = ", ".join(f"`{name}`" for name in feature.inputs)
    return f"| [`{feature.name}`](#{feature.name}) | {feature.unit} | {low} … {high} | {lookback} | {inputs} |"


def section(feature: Feature) -> str:
    """Return what a feature means, its NaN rule and its source."""
    return (
        f"### {feature.name}\n\n{feature.doc.strip()}\n\n"
        f"*Missing:* {feature.nan_rule}. *Source:* {feature.source.rstrip('.')}.\n"
    )


def page() -> str:
    """Return the whole page."""
    features = [feature for feature in registered_features(COINS) if feature.name not in COINS.columns]
    kinds = {feature.kind for feature in features}
    stocks = market_named("stocks")
    features += [
        feature
        for feature in registered_features(stocks)
        if feature.kind not in kinds and feature.name not in stocks.columns
    ]
    table = "\n".join(row(feature) for feature in features)
    return HEAD + table + "\n\n## What they mean\n\n" + "\n".join(section(feature) for feature in features)


def main() -> int:
    """Write the page, or compare it with the file."""
    if "--check" in sys.argv[1:]:
        fresh = TARGET.is_file() and TARGET.read_text(encoding="utf-8") == page()
        print("docs/features.md: fine" if fresh else "docs/features.md is stale; run python tools/feature_docs.py")
        return 0 if fresh else 1
    TARGET.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
