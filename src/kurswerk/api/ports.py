"""What the API needs of the outside, beyond the registry and the use cases."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Protocol

from kurswerk.serving import PredictionLog
from kurswerk.storage.operations import ApiKey
from kurswerk.storage.predictions import PredictionFilter
from kurswerk.storage.registry import Listing, Page

Row = Mapping[str, Any]


class Catalog(Protocol):
    """Reads what is kept as rows under the names of contracts.md. Deleted models are never found."""

    def models(self, page: Page, filters: Row) -> Listing:
        """Return one page of models, without what is large."""
        ...

    def model(self, model_id: int) -> Row:
        """Return one model with everything; NotFoundError if there is none."""
        ...

    def tests(self, page: Page, filters: Row) -> Listing:
        """Return one page of test results."""
        ...

    def test(self, test_id: int) -> Row:
        """Return one test result; NotFoundError if there is none."""
        ...

    def comparisons(self, page: Page, filters: Row) -> Listing:
        """Return one page of comparisons."""
        ...

    def comparison(self, comparison_id: int) -> Row:
        """Return one comparison; NotFoundError if there is none."""
        ...

    def jobs(self, page: Page, filters: Row) -> Listing:
        """Return one page of jobs."""
        ...

    def job(self, job_id: int) -> Row:
        """Return one job; NotFoundError if there is none."""
        ...

    def phases(self) -> Sequence[Row]:
        """Return the phases a coin passes."""
        ...


class PredictionFinder(PredictionLog, Protocol):
    """Finds stored predictions and alerts."""

    def find(self, chosen: PredictionFilter, limit: int = 100, offset: int = 0) -> Sequence[Row]:
        """Return predictions, newest first."""
        ...

    def get(self, prediction_id: int) -> Row:
        """Return one prediction; NotFoundError if there is none."""
        ...

    def latest(self, coin_id: str) -> Sequence[Row]:
        """Return all models' predictions of a coin's newest predicted row; NotFoundError if there is none."""
        ...

    def alerts(self, chosen: PredictionFilter, limit: int = 100, offset: int = 0) -> Sequence[Row]:
        """Return alerts, newest first."""
        ...

    def stats(self) -> Row:
        """Return how much is predicted."""
        ...


class PredictionStream(Protocol):
    """Tells which predictions are stored."""

    def stored(self, wanted: Callable[[], bool]) -> AsyncIterator[Sequence[Row]]:
        """Yield nothing once it listens, then each batch if it is ``wanted``; DatabaseUnavailableError when lost."""
        ...


class KeyStore(Protocol):
    """Knows the API keys."""

    def find(self, key: str) -> ApiKey | None:
        """Return what is known of a key, None if it is unknown or revoked."""
        ...


class ChangeFeed(Protocol):
    """Tells what changes in the database."""

    def changes(self) -> AsyncIterator[str | None]:
        """Yield None once it listens, then the name of each table that changed; DatabaseUnavailableError when lost."""
        ...
