"""The service's log as a channel."""

from kurswerk.alerts import ChannelKind, Delivery
from kurswerk.observability import get_logger

log = get_logger(__name__)


class LogChannel:
    """Writes a line to the service's log."""

    kind = ChannelKind(name="log", label="The service's log", summary="into the log")

    def send(self, delivery: Delivery) -> None:
        """Log a message."""
        log.warning("alert", **delivery.message())
