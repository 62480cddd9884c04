"""The cache of computed features: where it lies, and who uses it."""

from kurswerk.bootstrap.settings import Settings
from kurswerk.core.timestamps import DAY_US, MICROSECONDS
from kurswerk.training import FeatureCache, use_feature_cache

_MEGABYTE = 1_000_000


def feature_cache(settings: Settings) -> FeatureCache:
    """Return the cache of a data folder."""
    group = settings.cache
    return FeatureCache(
        settings.data_dir / "cache" / "features",
        group.features_mb * _MEGABYTE,
        group.features_days * (DAY_US / MICROSECONDS),
    )


def keep_features(settings: Settings) -> None:
    """Let trainings and tests of this process read features from the cache, if the settings give it room."""
    use_feature_cache(feature_cache(settings) if settings.cache.features_mb else None)
