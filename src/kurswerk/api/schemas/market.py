"""Market data."""

from pydantic import Field

from kurswerk.api.schemas._base import ResponseModel, UtcTime


class PhaseRead(ResponseModel):
    """A phase that coins pass."""

    id: int = Field(examples=[1])
    name: str = Field(examples=["Baby Zone"])
    interval_seconds: int | None = Field(description="Time between two rows of a coin.", examples=[5])
    min_age_minutes: int | None = Field(examples=[0])
    max_age_minutes: int | None = Field(examples=[10])


class AvailabilityRead(ResponseModel):
    """What market data there are."""

    first_timestamp: UtcTime | None = Field(description="Null while there are no rows.")
    last_timestamp: UtcTime | None
    rows: int
    coins: int
