"""E-mail by SMTP."""

import hashlib
import json
import smtplib
from email.message import EmailMessage
from urllib.parse import urlsplit

from kurswerk.alerts import ChannelKind, Delivery
from kurswerk.core.errors import InvalidInputError

_TIMEOUT_S = 5.0


class SmtpChannel:
    """Sends e-mail by SMTP; a rule's target is ``smtp://host:port/recipient@example.org`` (or ``smtps``)."""

    kind = ChannelKind(
        name="smtp",
        label="E-mail",
        summary="e-mail to {target}",
        target_prefixes=("smtp://", "smtps://"),
        target_example="smtp://mail.example.org:25/me@example.org",
        secret="user:password",  # its form, not one  # noqa: S106  # nosec B106
    )

    def send(self, delivery: Delivery) -> None:
        """Send a message; the rule's secret, if any, is ``user:password``."""
        parts = urlsplit(delivery.target or "")
        recipient = parts.path.strip("/")
        if parts.scheme not in {"smtp", "smtps"} or not parts.hostname or not recipient:
            raise InvalidInputError("alert_rule.target_not_smtp", rule=delivery.rule)
        mail = EmailMessage()
        mail["Subject"] = f"Kurswerk: {delivery.rule}: {delivery.subject}"
        mail["From"] = mail["To"] = recipient
        mail["Message-ID"] = f"<{hashlib.sha256(delivery.key.encode()).hexdigest()[:32]}@kurswerk>"
        mail.set_content(delivery.text())
        mail.add_attachment(
            json.dumps(delivery.message(), indent=2).encode(), "application", "json", filename="alert.json"
        )
        kind = smtplib.SMTP_SSL if parts.scheme == "smtps" else smtplib.SMTP
        with kind(parts.hostname, parts.port or 0, timeout=_TIMEOUT_S) as server:
            if delivery.secret:
                user, _, password = delivery.secret.partition(":")
                if parts.scheme == "smtp":
                    server.starttls()
                server.login(user, password)
            server.send_message(mail)
