"""Telegram: messages sent by a bot."""

import json
import re

import httpx

from kurswerk.alerts import ChannelKind, Delivery
from kurswerk.channels._http import http_client, post
from kurswerk.core.errors import InvalidInputError

API_URL = "https://api.telegram.org"
# A chat's number (groups have negative ones) or the name of a public channel.
_TARGET = re.compile(r"telegram://(-?\d+|[A-Za-z]\w{3,})/?")


class TelegramChannel:
    """Sends text with a bot's token, the rule's secret, to the chat or channel that is the rule's target.

    Parameters
    ----------
    api_url
        Of Telegram's Bot API, or of a Bot API server of one's own.

    References
    ----------
    https://core.telegram.org/bots/api#sendmessage
    """

    kind = ChannelKind(
        name="telegram",
        label="Telegram",
        summary="Telegram to {target}",
        target_prefixes=("telegram://",),
        target_example="telegram://-1001234567890",
        secret="the bot's token",  # what it is for, not one  # noqa: S106  # nosec B106
        secret_required=True,
    )

    def __init__(self, transport: httpx.BaseTransport | None = None, *, api_url: str = API_URL) -> None:
        self._client, self._api_url = http_client(transport), api_url

    def send(self, delivery: Delivery) -> None:
        """Send a message as plain text, without a preview of links in it."""
        target = _TARGET.fullmatch(delivery.target or "")
        if target is None or not delivery.secret:
            raise InvalidInputError("alert_rule.target_not_telegram", rule=delivery.rule)
        chat = target[1]
        body = {
            "chat_id": int(chat) if chat.lstrip("-").isdecimal() else f"@{chat}",
            "text": delivery.text(),
            "link_preview_options": {"is_disabled": True},
        }
        post(self._client, f"{self._api_url}/bot{delivery.secret}/sendMessage", json.dumps(body).encode())
