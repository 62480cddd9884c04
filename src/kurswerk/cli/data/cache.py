"""``kurswerk data cache``: how much computed features are kept, and how often they were there."""

from dataclasses import asdict

import click

from kurswerk.bootstrap.application import current_settings
from kurswerk.bootstrap.feature_cache import feature_cache
from kurswerk.cli._output import json_option, print_json
from kurswerk.cli._terminal import print_table


@click.command("cache")
@click.option("--clear", is_flag=True, help="Remove all kept features, and begin to count anew.")
@json_option
def cache(*, clear: bool, as_json: bool) -> None:
    """Show the cache of computed features: columns, bytes, and the share of columns that were there.

    Trainings and tests read a feature from it if its definition, the library and every value that it reads are the
    same; certificates never do. Its size is KURSWERK_CACHE_FEATURES_MB.
    """
    settings = current_settings()
    kept = feature_cache(settings)
    if clear:
        kept.clear()
    state = kept.state()
    document = {
        "columns": state.columns,
        "bytes": state.bytes,
        "most_bytes": settings.cache.features_mb * 1_000_000,
        **asdict(state.counts),
        "hit_rate": state.counts.hit_rate,
    }
    if as_json:
        print_json(document)
    else:
        print_table("Computed features", tuple(document), [tuple(document.values())])
