"""The body of every error."""

from typing import Any

from pydantic import BaseModel, Field

from kurswerk.api.schemas._base import UtcTime


class FieldError(BaseModel):
    """What is wrong with one field, or with the whole call."""

    field: str = Field(description="Empty where the whole call is meant.", examples=["body.train_start"])
    message: str = Field(examples=["Field required"])
    code: str | None = Field(None, description="Names the message in every language.", examples=["validation.missing"])
    params: dict[str, Any] | None = Field(None, description="The values in the message.")


class ErrorBody(BaseModel):
    """What went wrong."""

    code: str = Field(description="For programs; stable.", examples=["not_found"])
    message: str = Field(description="For people: what is wrong, the value, what to do.")
    details: list[FieldError] = Field(description="Each field that is wrong; else one entry for the whole call.")
    timestamp: UtcTime
    request_id: str = Field(description="The same as in X-Request-ID; the service's log has it too.")


class ErrorRead(BaseModel):
    """The body of every error."""

    error: ErrorBody
