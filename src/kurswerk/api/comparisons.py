"""Comparisons."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from kurswerk.api._dependencies import Ports
from kurswerk.api._openapi import errors
from kurswerk.api._response_cache import cached
from kurswerk.api.schemas._base import LARGEST_ID, page_fields
from kurswerk.api.schemas.results import ComparisonPage, ComparisonRead, ResultQuery

router = APIRouter(prefix="/api/comparisons", tags=["comparisons"])


@router.get("", dependencies=[cached("ml_comparisons")], responses=errors())
def list_comparisons(query: Annotated[ResultQuery, Query()], ports: Ports) -> ComparisonPage:
    """List comparisons, newest first; `model_id` finds a model on either side."""
    listing = ports.catalog.comparisons(query.page(), query.filters())
    return ComparisonPage(comparisons=ComparisonRead.all_of(listing.rows), **page_fields(query, listing))


@router.get("/{comparison_id:int}", dependencies=[cached("ml_comparisons")], responses=errors(404))
def read_comparison(
    comparison_id: Annotated[int, Path(ge=1, le=LARGEST_ID, description="A comparison's id.")], ports: Ports
) -> ComparisonRead:
    """Show how two models did on identical rows, and whether the difference is more than luck."""
    return ComparisonRead.model_validate(ports.catalog.comparison(comparison_id))
