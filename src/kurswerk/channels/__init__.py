"""The ways alerts take: one file per channel, one line each in the register."""

from kurswerk.channels._database import DatabaseChannel
from kurswerk.channels._discord import DiscordChannel
from kurswerk.channels._log import LogChannel
from kurswerk.channels._register import CHANNELS, KINDS, open_channels
from kurswerk.channels._smtp import SmtpChannel
from kurswerk.channels._telegram import TelegramChannel
from kurswerk.channels._webhook import WebhookChannel, signature

__all__ = [
    "CHANNELS",
    "KINDS",
    "DatabaseChannel",
    "DiscordChannel",
    "LogChannel",
    "SmtpChannel",
    "TelegramChannel",
    "WebhookChannel",
    "open_channels",
    "signature",
]
