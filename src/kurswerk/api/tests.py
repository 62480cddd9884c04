"""Test results."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from kurswerk.api._dependencies import Ports
from kurswerk.api._openapi import errors
from kurswerk.api._response_cache import cached
from kurswerk.api.schemas._base import LARGEST_ID, page_fields
from kurswerk.api.schemas.results import ResultQuery, TestPage, TestRead

router = APIRouter(prefix="/api/test-results", tags=["test results"])


@router.get("", dependencies=[cached("ml_test_results")], responses=errors())
def list_tests(query: Annotated[ResultQuery, Query()], ports: Ports) -> TestPage:
    """List test results, newest first."""
    listing = ports.catalog.tests(query.page(), query.filters())
    return TestPage(test_results=TestRead.all_of(listing.rows), **page_fields(query, listing))


@router.get("/{test_id:int}", dependencies=[cached("ml_test_results")], responses=errors(404))
def read_test(
    test_id: Annotated[int, Path(ge=1, le=LARGEST_ID, description="A test result's id.")], ports: Ports
) -> TestRead:
    """Show how a model did in a period."""
    return TestRead.model_validate(ports.catalog.test(test_id))
