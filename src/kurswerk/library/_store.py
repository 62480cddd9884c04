"""An installation of Kurswerk from Python: its market data and its models, without a server."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import SecretStr

from kurswerk.bootstrap.application import Application, current_settings, open_application
from kurswerk.core.errors import SpecError
from kurswerk.jobs import Progress, no_progress
from kurswerk.library._bars import Bars, Time, moment_us
from kurswerk.library._frames import FRAME_KINDS, FrameKind, to_frame
from kurswerk.library._model import Model, given_costs, model_of
from kurswerk.market import DEFAULT_MARKET, market_named
from kurswerk.registry import TestResult
from kurswerk.training import ModelSpec, Period, run_test
from kurswerk.training import train as train_in

_MOST_MODELS = 10_000


class Store:
    """The data and the models of one installation; made by `open_store`."""

    def __init__(self, application: Application, kind: FrameKind) -> None:
        self._application, self._kind = application, kind

    def __repr__(self) -> str:
        return f"<store at {self._application.database}>"

    def read(
        self,
        market: str = DEFAULT_MARKET,
        *,
        instruments: Sequence[str] | None = None,
        start: Time | None = None,
        end: Time | None = None,
        columns: Sequence[str] | None = None,
    ) -> Bars:
        """Read stored rows.

        Parameters
        ----------
        market
            ``coins``, ``stocks`` (adjusted for the splits known at each row), ``stocks_1h``, ``candles`` …
        instruments
            Names; None for all.
        start, end
            Both inclusive; a date alone means its midnight UTC.
        columns
            Of the market; all that are stored if None.
        """
        schema, rows = market_named(market), self._application.markets[market]
        names = schema.in_order(rows.columns()) if columns is None else list(columns)
        panel = rows.load_panel(
            names,
            start_us=None if start is None else moment_us(start),
            end_us=None if end is None else moment_us(end),
            mints=instruments,
        )
        return Bars(panel, schema, self._kind)

    def train(self, spec: Mapping[str, Any], *, progress: Progress = no_progress) -> Model:
        """Train, certify and register a model: what ``kurswerk train`` does.

        Parameters
        ----------
        spec
            A whole specification.
        """
        record = train_in(ModelSpec.parse(spec), self._application.training, progress=progress)
        return model_of(record, self._application.models)

    def model(self, name: int | str) -> Model:
        """Return a registered model that is READY, by name or number.

        Raises
        ------
        NotFoundError, ConflictError
            If there is none, with the nearest name, or it is not READY.
        """
        models = self._application.models
        return model_of(models.get(name), models)

    def models(self) -> Any:
        """Return all models, newest first: ``id``, ``name``, ``model_type``, ``market``, ``status``, ``is_active``."""
        found = self._application.models.find(limit=_MOST_MODELS)
        names = ("id", "name", "model_type", "status", "is_active", "created_at")
        table = pa.table({name: [getattr(record, name) for record in found] for name in names})
        markets = pa.array([record.spec.get("market", DEFAULT_MARKET) for record in found], pa.string())
        return to_frame(table.add_column(3, "market", markets), self._kind)

    def test(
        self,
        model: int | str,
        start: Time,
        end: Time,
        *,
        instruments: Sequence[str] | None = None,
        costs: str | Mapping[str, Any] | None = None,
    ) -> TestResult:
        """Test a model on a period, both ends inclusive, and store the result: what ``kurswerk test`` does."""
        period = Period(moment_us(start), moment_us(end))
        return run_test(model, period, self._application.training, mints=instruments, costs=given_costs(costs))[1]


def open_store(
    data_dir: str | PathLike[str] | None = None, *, database_url: str | None = None, frames: FrameKind = "pyarrow"
) -> Store:
    """Open an installation, and start its embedded database if it has one; its tables are made or upgraded.

    Parameters
    ----------
    data_dir
        Its data directory; by default the one that ``KURSWERK_DATA_DIR`` or ``kurswerk.toml`` names.
    database_url
        PostgreSQL to use instead of the embedded one, ``postgresql://…``.
    frames
        Library of the data frames that are returned: ``pandas``, ``polars``, ``duckdb`` or ``pyarrow``.

    Raises
    ------
    SpecError
        If frames are of another library.
    """
    if frames not in FRAME_KINDS:
        raise SpecError("library.unknown_frames", given=frames, choices=list(FRAME_KINDS))
    settings = current_settings()
    changes: dict[str, Any] = {}
    if data_dir is not None:
        changes["data_dir"] = Path(data_dir).expanduser().absolute()
    if database_url is not None:
        changes["database_url"] = SecretStr(database_url)
    return Store(open_application(settings.model_copy(update=changes)), frames)
