"""Health."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class CheckRead(BaseModel):
    """One thing that serving depends on; further values stand beside the message."""

    model_config = ConfigDict(extra="allow")

    status: Literal["ok", "degraded", "failed"]
    message: str


class HealthRead(BaseModel):
    """How the service is."""

    model_config = ConfigDict(extra="allow")

    status: Literal["healthy", "degraded", "unhealthy"]
    active_models: int | None
    predictions_last_hour: int | None
    uptime_seconds: float
    db_connected: bool
    checks: dict[str, CheckRead]


class ReadyRead(BaseModel):
    """Whether requests can be answered."""

    ready: bool = Field(examples=[True])
