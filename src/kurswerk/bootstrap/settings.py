"""Settings, read once from the environment and an optional ``kurswerk.toml``.

The environment wins over the file. Names: ``KURSWERK_DATABASE_URL``, ``KURSWERK_DATA_DIR``, ``KURSWERK_CONFIG``;
``DB_DSN`` or ``DB_HOST``, ``DB_PORT``, ``DB_NAME``, ``DB_USER``, ``DB_PASSWORD`` are honoured as older services
set them. The file holds the same as lower-case keys: ``database_url = "…"``, ``data_dir = "…"``.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import platformdirs

from kurswerk.core.errors import InvalidInputError, UnknownNameError

CONFIG_FILE = "kurswerk.toml"
_FILE_KEYS = frozenset({"database_url", "data_dir"})


@dataclass(frozen=True)
class Settings:
    """Where Kurswerk keeps its data.

    Attributes
    ----------
    data_dir
        Holds the embedded database, quarantined rows and compiled kernels.
    database_url
        An external PostgreSQL; None starts the embedded one.
    """

    data_dir: Path
    database_url: str | None = None

    @property
    def quarantine_dir(self) -> Path:
        """Where refused rows are kept."""
        return self.data_dir / "quarantine"

    @property
    def kernel_cache_dir(self) -> Path:
        """Where compiled kernels are kept."""
        return self.data_dir / "cache" / "kernels"


def read_settings(environment: Mapping[str, str], directory: Path) -> Settings:
    """Read the settings in force.

    Parameters
    ----------
    environment
        Usually ``os.environ``.
    directory
        Where ``kurswerk.toml`` is looked for unless ``KURSWERK_CONFIG`` names a file.

    Raises
    ------
    InvalidInputError
        If the file is no TOML, a value has the wrong type or a port is no number.
    """
    file = _read_file(environment, directory)
    data_dir = environment.get("KURSWERK_DATA_DIR") or file.get("data_dir") or platformdirs.user_data_dir("kurswerk")
    url = environment.get("KURSWERK_DATABASE_URL") or _seed_url(environment) or file.get("database_url")
    return Settings(data_dir=Path(data_dir).expanduser().absolute(), database_url=_checked_url(url))


def _read_file(environment: Mapping[str, str], directory: Path) -> dict[str, str]:
    named = environment.get("KURSWERK_CONFIG")
    path = Path(named) if named else directory / CONFIG_FILE
    if not named and not path.is_file():
        return {}
    try:
        document: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInputError(f"cannot read the settings file {path}: {error.strerror}") from error
    except ValueError as error:
        raise InvalidInputError(f"{path} is no TOML: {error}") from error
    for key, value in document.items():
        if key not in _FILE_KEYS:
            raise UnknownNameError(f"setting in {path}", key, _FILE_KEYS)
        if not isinstance(value, str):
            raise InvalidInputError(f"{path}: {key} must be text in quotes, found {value!r}")
    return document


def _seed_url(environment: Mapping[str, str]) -> str | None:
    """Build a URL from the names that the older services use."""
    if dsn := environment.get("DB_DSN"):
        return dsn
    host = environment.get("DB_HOST")
    if not host:
        return None
    port = environment.get("DB_PORT", "5432")
    if not port.isdigit():
        raise InvalidInputError(f"DB_PORT is '{port}'; give a number such as 5432")
    user = quote(environment.get("DB_USER", "postgres"), safe="")
    password = environment.get("DB_PASSWORD")
    secret = f":{quote(password, safe='')}" if password else ""
    name = quote(environment.get("DB_NAME", "postgres"), safe="")
    return f"postgresql://{user}{secret}@{host}:{port}/{name}"


def _checked_url(url: str | None) -> str | None:
    if url is None:
        return None
    scheme, separator, rest = url.partition("://")
    plain = scheme.partition("+")[0]  # SQLAlchemy's postgresql+asyncpg:// means the same database
    if not separator or plain not in {"postgresql", "postgres"}:
        raise InvalidInputError(
            f"the database URL begins with '{scheme[:20]}'; write postgresql://user:password@host:5432/name"
        )
    return f"postgresql://{rest}"
