"""What operators see: structured logs, Prometheus metrics, health, and the resources of the machine."""

from kurswerk.observability._health import (
    Check,
    HealthReport,
    backups_check,
    database_check,
    disk_check,
    memory_check,
    migrations_check,
)
from kurswerk.observability._health_endpoint import HealthEndpoint, has_token
from kurswerk.observability._health_service import HEALTH_TIMEOUT_S, DatabaseReading, HealthService, SingleFlightCall
from kurswerk.observability._logging import configure_logging, get_logger, log_context, mask_secrets
from kurswerk.observability._metrics import DIRECTORY_VARIABLE, BackupReading, Metrics, ServiceState
from kurswerk.observability._resource_sampler import ResourceSample, ResourceSampler
from kurswerk.observability._resources import free_disk_bytes, memory_limit_bytes

__all__ = [
    "DIRECTORY_VARIABLE",
    "HEALTH_TIMEOUT_S",
    "BackupReading",
    "Check",
    "DatabaseReading",
    "HealthEndpoint",
    "HealthReport",
    "HealthService",
    "Metrics",
    "ResourceSample",
    "ResourceSampler",
    "ServiceState",
    "SingleFlightCall",
    "backups_check",
    "configure_logging",
    "database_check",
    "disk_check",
    "free_disk_bytes",
    "get_logger",
    "has_token",
    "log_context",
    "mask_secrets",
    "memory_check",
    "memory_limit_bytes",
    "migrations_check",
]
