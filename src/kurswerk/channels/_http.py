"""What channels over HTTP have in common: one POST, and what a refusal means."""

from collections.abc import Mapping

import httpx

from kurswerk.alerts import ReceiverBusyError
from kurswerk.core.errors import KurswerkError

# Shorter than the dispatcher's own limit, long enough for a receiver that works on a burst.
_TIMEOUT_S = 10.0
# A receiver that asks for more is asked again after this long all the same.
_LONGEST_WAIT_S = 3600.0
_TOO_MANY_REQUESTS, _UNAVAILABLE = 429, 503


def http_client(transport: httpx.BaseTransport | None) -> httpx.Client:
    """Return a client that follows no redirect: a target is what the rule names and nothing else."""
    return httpx.Client(timeout=_TIMEOUT_S, transport=transport, follow_redirects=False)


def post(client: httpx.Client, url: str, body: bytes, headers: Mapping[str, str] | None = None) -> None:
    """Post JSON; any status but 2xx means that the message has not arrived.

    Raises
    ------
    ReceiverBusyError
        For a status 429 or 503 that names when to come back (``Retry-After`` in seconds).
    KurswerkError
        For any other status.
    """
    sent = {"Content-Type": "application/json"} | dict(headers or {})
    # The answer's content beyond its status and headers does not matter, and may never end.
    with client.stream("POST", url, content=body, headers=sent) as answer:
        if answer.is_success:
            return
        status = f"{answer.status_code} {answer.reason_phrase}".rstrip()
        wait_s = _retry_after(answer)
        if wait_s is not None and answer.status_code in {_TOO_MANY_REQUESTS, _UNAVAILABLE}:
            raise ReceiverBusyError("alert.receiver_refused", status=status, retry_after_s=wait_s)
        raise KurswerkError("alert.receiver_refused", status=status)


def _retry_after(answer: httpx.Response) -> float | None:
    """Return the seconds of ``Retry-After``; a date in it, which no messenger sends, counts as none."""
    try:
        seconds = float(answer.headers.get("Retry-After", ""))
    except ValueError:
        return None
    return min(max(seconds, 0.0), _LONGEST_WAIT_S)
