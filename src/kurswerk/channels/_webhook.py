"""Webhooks: messages posted as signed JSON."""

import hashlib
import hmac
import json
import time

import httpx

from kurswerk.alerts import ChannelKind, Delivery
from kurswerk.channels._http import http_client, post
from kurswerk.core.errors import InvalidInputError


class WebhookChannel:
    """Posts JSON, signed where the rule has a secret.

    Headers: ``X-Kurswerk-Delivery`` is the same at every try; ``X-Kurswerk-Timestamp`` seconds since 1970;
    ``X-Kurswerk-Signature`` is ``sha256=`` and the HMAC-SHA256, in hexadecimal, of timestamp, a dot and the body. For a
    while after the rule's secret was replaced, a comma and the signature by the one before follow.
    """

    kind = ChannelKind(
        name="webhook",
        label="Webhook, such as n8n",
        summary="webhook to {target}",
        target_prefixes=("http://", "https://"),
        target_example="https://n8n.example/webhook/kurswerk",
        secret="signs the messages",  # what it is for, not one  # noqa: S106  # nosec B106
        path_is_secret=True,
    )

    def __init__(self, transport: httpx.BaseTransport | None = None) -> None:
        self._client = http_client(transport)

    def send(self, delivery: Delivery) -> None:
        """Post a message; any status but 2xx means that it has not arrived."""
        if delivery.target is None:
            raise InvalidInputError("alert_rule.no_address", rule=delivery.rule)
        body = json.dumps(delivery.message()).encode()
        moment = str(int(time.time()))
        headers = {"X-Kurswerk-Delivery": delivery.key, "X-Kurswerk-Timestamp": moment}
        secrets = filter(None, (delivery.secret, delivery.previous_secret))
        if signatures := [signature(secret, moment, body) for secret in secrets]:
            headers["X-Kurswerk-Signature"] = ", ".join(signatures)
        post(self._client, delivery.target, body, headers)


def signature(secret: str, moment: str, body: bytes) -> str:
    """Return what a receiver computes to know who sent a message.

    Examples
    --------
    >>> signature("secret", "1700000000", b"{}")[:20]
    'sha256=b8569b78799ff'
    """
    return "sha256=" + hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
