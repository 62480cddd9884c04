"""The table of deliveries itself as a channel."""

from kurswerk.alerts import ChannelKind, Delivery


class DatabaseChannel:
    """Leaves the message where it is kept."""

    kind = ChannelKind(name="database", label="Only kept here", summary="only kept here")

    def send(self, delivery: Delivery) -> None:
        """Do nothing: it is in ``alert_deliveries``."""
