"""The ways alerts take: webhook, log, e-mail, or none beyond the table they are kept in."""

import hashlib
import hmac
import json
import smtplib
import time
from collections.abc import Mapping
from email.message import EmailMessage
from urllib.parse import urlsplit

import httpx

from kurswerk.core.errors import InvalidInputError, KurswerkError
from kurswerk.observability import get_logger
from kurswerk.serving import Channel, Delivery

log = get_logger(__name__)
_TIMEOUT_S = 5.0


class Webhook:
    """Posts JSON, signed where the rule has a secret.

    Headers: ``X-Kurswerk-Delivery`` is the same at every try; ``X-Kurswerk-Timestamp`` seconds since 1970;
    ``X-Kurswerk-Signature`` is ``sha256=`` and the HMAC-SHA256, in hexadecimal, of timestamp, a dot and the body.
    """

    def __init__(self, transport: httpx.BaseTransport | None = None) -> None:
        self._client = httpx.Client(timeout=_TIMEOUT_S, transport=transport, follow_redirects=False)

    def send(self, delivery: Delivery) -> None:
        """Post a message; any status but 2xx means that it has not arrived."""
        if delivery.target is None:
            raise InvalidInputError(f"alert rule '{delivery.rule}' has no address to post to")
        body = json.dumps(delivery.message()).encode()
        moment = str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "X-Kurswerk-Delivery": delivery.key,
            "X-Kurswerk-Timestamp": moment,
        }
        if delivery.secret:
            headers["X-Kurswerk-Signature"] = signature(delivery.secret, moment, body)
        # What the answer says beyond its status does not matter, and may never end.
        with self._client.stream("POST", delivery.target, content=body, headers=headers) as answer:
            if not answer.is_success:
                raise KurswerkError(f"the receiver answered {answer.status_code} {answer.reason_phrase}".rstrip())


class Log:
    """Writes a line to the service's log."""

    def send(self, delivery: Delivery) -> None:
        """Log a message."""
        log.warning("alert", **delivery.message())


class Table:
    """Leaves the message where it is kept."""

    def send(self, delivery: Delivery) -> None:
        """Do nothing: it is in ``alert_deliveries``."""


class Mail:
    """Sends e-mail by SMTP; a rule's target is ``smtp://host:port/recipient@example.org`` (or ``smtps``)."""

    def send(self, delivery: Delivery) -> None:
        """Send a message; the rule's secret, if any, is ``user:password``."""
        parts = urlsplit(delivery.target or "")
        recipient = parts.path.strip("/")
        if parts.scheme not in {"smtp", "smtps"} or not parts.hostname or not recipient:
            raise InvalidInputError(
                f"the target of alert rule '{delivery.rule}' must be smtp://host:port/recipient@example.org"
            )
        mail = EmailMessage()
        mail["Subject"] = f"Kurswerk: {delivery.rule}: {delivery.coin_id}"
        mail["From"] = mail["To"] = recipient
        mail["Message-ID"] = f"<{hashlib.sha256(delivery.key.encode()).hexdigest()[:32]}@kurswerk>"
        mail.set_content(json.dumps(delivery.message(), indent=2))
        kind = smtplib.SMTP_SSL if parts.scheme == "smtps" else smtplib.SMTP
        with kind(parts.hostname, parts.port or 0, timeout=_TIMEOUT_S) as server:
            if delivery.secret:
                user, _, password = delivery.secret.partition(":")
                if parts.scheme == "smtp":
                    server.starttls()
                server.login(user, password)
            server.send_message(mail)


def signature(secret: str, moment: str, body: bytes) -> str:
    """Return what a receiver computes to know who sent a message.

    Examples
    --------
    >>> signature("secret", "1700000000", b"{}")[:20]
    'sha256=b8569b78799ff'
    """
    return "sha256=" + hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()


def channels() -> Mapping[str, Channel]:
    """Return all channels by the names that rules use."""
    return {"webhook": Webhook(), "log": Log(), "database": Table(), "smtp": Mail()}
