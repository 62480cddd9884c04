"""Base classes of request and response models."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from kurswerk.market import MARKETS
from kurswerk.registry import Listing, PageRequest

if TYPE_CHECKING:
    MarketName = str
else:
    # The register decides; a literal of names that are known when the program runs.
    MarketName = Literal[tuple(MARKETS)]
UtcTime = Annotated[datetime, AfterValidator(lambda moment: moment.astimezone(UTC))]
Json = dict[str, Any]
# The largest whole number that every JSON parser reads exactly.
LARGEST_ID = 2**53 - 1
Ratio = Annotated[float | None, Field(description="In [0, 1]; null where it is undefined.")]


def _descending(value: Any) -> Any:
    # jsonb does not keep the order of keys.
    return dict(sorted(value.items(), key=lambda item: (-item[1], item[0]))) if isinstance(value, Mapping) else value


Importance = Annotated[
    dict[str, float] | None, BeforeValidator(_descending), Field(description="Feature → share in [0, 1], descending.")
]


class ResponseModel(BaseModel):
    """Read from a row; columns it does not name are left out."""

    model_config = ConfigDict(extra="ignore", protected_namespaces=())

    @classmethod
    def all_of(cls, rows: Sequence[Mapping[str, Any]]) -> list[Self]:
        """Read several rows."""
        return [cls.model_validate(row) for row in rows]


class MessageRead(BaseModel):
    """A message in every language: the text beside it is its English rendering."""

    code: str = Field(description="Names the message.", examples=["progress.fold"])
    params: Json = Field(
        description="The values in it, further messages among them.",
        examples=[{"number": 3, "folds": 5, "count": 1200}],
    )


class RequestModel(BaseModel):
    """Sent by a client; a field nobody knows is refused."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=(), allow_inf_nan=False)


class PageQuery(BaseModel):
    """Which part of a list, and in which direction."""

    model_config = ConfigDict(protected_namespaces=())

    limit: int = Field(100, ge=1, le=1000, description="How many at most.")
    offset: int = Field(0, ge=0, le=2**31 - 1, description="How many to leave out before the first.")
    order: Literal["asc", "desc"] = Field("desc", description="Direction; missing values come last either way.")
    sort: str = "id"

    def page(self) -> PageRequest:
        """Return the part of the list that is asked for."""
        return PageRequest(self.limit, self.offset, self.sort, descending=self.order == "desc")

    def filters(self) -> Json:
        """Return the filters that were given."""
        return self.model_dump(exclude=set(PageQuery.model_fields), exclude_none=True)


class PageResponse(ResponseModel):
    """One page of a list."""

    total: int = Field(description="How many there are on all pages together.", examples=[1])
    limit: int = Field(description="As asked for.", examples=[100])
    offset: int = Field(description="As asked for.", examples=[0])


def page_fields(query: PageQuery, listing: Listing) -> dict[str, int]:
    """Return the fields that every page has beside its entries."""
    return {"total": listing.total, "limit": query.limit, "offset": query.offset}
