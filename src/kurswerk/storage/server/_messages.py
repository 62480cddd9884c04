"""Messages as the database keeps them: their English text, and beside it their code and parameters."""

from collections.abc import Mapping
from typing import Any, Final

from kurswerk.core.messages import Message
from kurswerk.observability import mask_secrets
from kurswerk.storage.server._json import jsonb

_LONGEST_TEXT: Final = 4000


def stored_text(text: str) -> str:
    """Return a text as it is stored: without secrets, not too long, without what PostgreSQL cannot store.

    Examples
    --------
    >>> stored_text("no answer from postgresql://me:secret@host/db")
    'no answer from postgresql://me:***@host/db'
    """
    return mask_secrets(text).replace("\0", "�")[:_LONGEST_TEXT]


def stored_message(message: Message) -> dict[str, Any]:
    """Return a message as it is stored, without secrets: in English, and its code and values as JSON."""
    masked = message.map_text(stored_text)
    return {"text": stored_text(str(message)), "detail": jsonb(masked.as_json())}


def message_of(document: Mapping[str, Any] | None) -> Message | None:
    """Return a stored message; None where there is none, or where this version has no words for it.

    Examples
    --------
    >>> str(message_of({"code": "job.done", "params": {}})), message_of({"code": "of.a.later.version", "params": {}})
    ('done', None)
    """
    message = None if document is None else Message.from_json(document)
    return message if message is not None and message.is_known else None
