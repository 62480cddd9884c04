"""Discord: messages posted to a channel's webhook."""

import json

import httpx

from kurswerk.alerts import ChannelKind, Delivery
from kurswerk.channels._http import http_client, post
from kurswerk.core.errors import InvalidInputError

# Discord refuses longer ones.
_MOST_CHARACTERS = 2000


class DiscordChannel:
    """Posts text to a Discord webhook; its address contains the token, so a rule needs no secret.

    References
    ----------
    https://discord.com/developers/docs/resources/webhook#execute-webhook
    """

    kind = ChannelKind(
        name="discord",
        label="Discord",
        summary="Discord, {target}",
        target_prefixes=("https://discord.com/api/webhooks/", "https://discordapp.com/api/webhooks/"),
        target_example="https://discord.com/api/webhooks/123/token",
        path_is_secret=True,
    )

    def __init__(self, transport: httpx.BaseTransport | None = None) -> None:
        self._client = http_client(transport)

    def send(self, delivery: Delivery) -> None:
        """Post a message that mentions nobody, whatever names and rules contain."""
        if delivery.target is None:
            raise InvalidInputError("alert_rule.no_address", rule=delivery.rule)
        body = {"content": delivery.text()[:_MOST_CHARACTERS], "allowed_mentions": {"parse": []}}
        post(self._client, delivery.target, json.dumps(body).encode())
