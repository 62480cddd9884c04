"""Asks a running service how it is, as a container engine does every half minute: it imports next to nothing."""

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

from kurswerk.bootstrap.addresses import url_to
from kurswerk.bootstrap.settings import Settings
from kurswerk.core.errors import InvalidInputError, KurswerkError

_PATIENCE_S = 8.0


def health_url(settings: Settings) -> str:
    """Return where a service with these settings reports its health.

    Raises
    ------
    InvalidInputError
        If it takes a free port, which nobody can know.
    """
    chosen = settings.health if settings.health.port is not None else settings.http
    if not chosen.port:
        raise InvalidInputError("health.port_not_fixed")
    return f"{url_to(chosen.host, chosen.port)}/health"


def probe(url: str) -> tuple[bool, dict[str, Any]]:
    """Ask; return whether the service can serve, and its report.

    Raises
    ------
    KurswerkError
        If there is no answer in 8 s, or none of a service of ours.
    """
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_PATIENCE_S)
    try:
        connection.request("GET", parts.path or "/health")
        answer = connection.getresponse()
        report = json.loads(answer.read())
    except (OSError, http.client.HTTPException) as error:
        raise KurswerkError("health.service_not_reached", url=url, reason=str(error) or type(error).__name__) from error
    except ValueError as error:
        raise KurswerkError("health.no_report", url=url) from error
    finally:
        connection.close()
    if not isinstance(report, dict) or "status" not in report:
        raise KurswerkError("health.no_report", url=url)
    return answer.status == http.client.OK, report
