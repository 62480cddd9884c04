"""What the API needs of the outside, beyond the registry and the use cases."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Protocol

from kurswerk.storage import ApiKey, Listing, Page

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
