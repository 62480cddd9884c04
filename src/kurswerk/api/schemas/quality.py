"""The quality of market data."""

from typing import Any, Literal

from pydantic import Field

from kurswerk.api.schemas._base import ResponseModel, UtcTime


class QualityExample(ResponseModel):
    """One place where something was found."""

    instrument: str = Field(description="Empty where it is about all of them.", examples=["EBAY"])
    timestamp: UtcTime | None = Field(description="Of the row, or of the first of several.")
    values: dict[str, Any] = Field(description="What was found there, by name.", examples=[{"missing sessions": 3}])


class QualityFinding(ResponseModel):
    """What one check found, or that it found nothing."""

    check: str = Field(examples=["gaps"])
    severity: Literal["error", "warning", "note"] = Field(
        description="`error`: such rows cannot be right; `warning`: somebody should look; `note`: good to know."
    )
    count: int = Field(description="Places.")
    instruments: int = Field(description="How many instruments they are of.")
    done: Literal["accepted", "quarantined"]
    reason: str = Field(description="Why rows were quarantined; empty for accepted ones.")
    examples: list[QualityExample]


class QualityRead(ResponseModel):
    """What all checks of a market found."""

    market: str
    rows: int
    instruments: int
    first_timestamp: UtcTime | None
    last_timestamp: UtcTime | None
    findings: list[QualityFinding] = Field(
        description="One for each check, then one for each file and reason of quarantined rows."
    )
