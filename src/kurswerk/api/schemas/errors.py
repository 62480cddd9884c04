"""The body of every error."""

from pydantic import BaseModel, Field

from kurswerk.api.schemas._base import UtcTime


class FieldError(BaseModel):
    """One field that is wrong."""

    field: str = Field(examples=["body.train_start"])
    message: str = Field(examples=["Field required"])


class ErrorBody(BaseModel):
    """What went wrong."""

    code: str = Field(description="For programs; stable.", examples=["not_found"])
    message: str = Field(description="For people: what is wrong, the value, what to do.")
    details: list[FieldError] = Field(description="Each field that is wrong; empty for other errors.")
    timestamp: UtcTime
    request_id: str = Field(description="The same as in X-Request-ID; the service's log has it too.")


class ErrorRead(BaseModel):
    """The body of every error."""

    error: ErrorBody
