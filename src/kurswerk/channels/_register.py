"""The register of channels; a new one is one line here."""

from collections.abc import Mapping

from kurswerk.alerts import Channel, ChannelKind
from kurswerk.channels._database import DatabaseChannel
from kurswerk.channels._discord import DiscordChannel
from kurswerk.channels._log import LogChannel
from kurswerk.channels._smtp import SmtpChannel
from kurswerk.channels._telegram import TelegramChannel
from kurswerk.channels._webhook import WebhookChannel

# In the order in which forms offer them.
CHANNELS = (WebhookChannel, TelegramChannel, DiscordChannel, SmtpChannel, LogChannel, DatabaseChannel)

KINDS: Mapping[str, ChannelKind] = {channel.kind.name: channel.kind for channel in CHANNELS}


def open_channels() -> Mapping[str, Channel]:
    """Return all channels by the names that rules use, ready to send."""
    return {channel.kind.name: channel() for channel in CHANNELS}
