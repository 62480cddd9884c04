"""What must be set in the environment before numerical libraries are imported."""

import hashlib
import os
from importlib import import_module
from pathlib import Path

import kurswerk
from kurswerk.bootstrap.settings import Settings, current_settings

VARIABLE = "NUMBA_CACHE_DIR"
# Nothing that a kernel may import: neither these packages nor what is left out with them define one.
WITHOUT_KERNELS = frozenset(
    {"api", "bootstrap", "channels", "cli", "client", "dashboard", "library", "reports", "workers"}
)
METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def use_kernel_cache(settings: Settings) -> None:
    """Keep compiled kernels under the data directory unless ``NUMBA_CACHE_DIR`` sets another place.

    Call it before a module with kernels is imported: numba reads the variable when it is itself imported. numba notices
    a change in a kernel's own file, but not in a function that it calls from another one; a directory per state of the
    sources makes a stale kernel impossible.
    """
    if VARIABLE not in os.environ:
        os.environ[VARIABLE] = str(settings.kernel_cache_dir / state_of_sources())


def share_metrics(settings: Settings) -> None:
    """Let all processes of one data directory count together.

    Call it before prometheus_client is imported, which reads the variable then.
    """
    os.environ[METRICS_VARIABLE] = str(settings.metrics_dir)


def let_idle_threads_sleep() -> None:
    """Keep threads of OpenMP from spinning while they wait, unless ``OMP_WAIT_POLICY`` is set.

    Spinning steals the processor from other processes: with both cores busy, XGBoost's fit of 20,000 × 60
    took five times as long.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def prepare_numerics() -> None:
    """Prepare for the numerical libraries where Kurswerk is used from Python, by the settings in force."""
    settings = current_settings()
    let_idle_threads_sleep()
    use_kernel_cache(settings)
    load_features(settings)


def load_features(settings: Settings) -> None:
    """Register the features of the files that the settings name.

    Call it after `use_kernel_cache`: features are expressions over kernels.

    Raises
    ------
    DataFileError
        If a file is missing or fails.
    """
    if settings.feature_files:
        # Late: it imports numba, which most commands do without.
        import_module("kurswerk.bootstrap.feature_files").load_feature_files(settings.feature_files)


def state_of_sources() -> str:
    """Return a digest of all Python sources that kernels may depend on, 16 hexadecimal digits."""
    root = Path(kurswerk.__file__).parent
    packages = [path for path in sorted(root.iterdir()) if path.is_dir() and path.name not in WITHOUT_KERNELS]
    sources = b"".join(path.read_bytes() for package in packages for path in sorted(package.rglob("*.py")))
    return hashlib.sha256(sources).hexdigest()[:16]
