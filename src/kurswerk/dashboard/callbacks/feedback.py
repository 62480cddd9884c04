"""What a callback does besides its outputs: show a notification, open another page, refuse a key without the scope."""

from time import monotonic
from typing import Any, Final

import dash

from kurswerk.core.errors import ConflictError
from kurswerk.dashboard.words.user_context import CURRENT, UserContext

NOTIFICATIONS: Final = "notices"


def notify(title: str, message: Any = "", *, success: bool = True) -> None:
    """Show a notification from within a callback."""
    notification = {
        "action": "show",
        "title": title,
        "message": message,
        "color": "teal" if success else "red",
        "autoClose": 6000 if success else 15000,
        "position": "bottom-right",
        "closeButtonProps": {"aria-label": CURRENT.get().t("Close")},
    }
    dash.set_props(NOTIFICATIONS, {"sendNotifications": [notification]})


def redirect_to(path: str) -> dict[str, Any]:
    """Return the value of the store ``go`` that opens another page."""
    return {"to": path, "at": monotonic()}


def require_scope(user: UserContext, scope: str) -> None:
    """Refuse what the user's key does not allow.

    Raises
    ------
    ConflictError
        If the key lacks the scope.
    """
    if not user.may(scope):
        raise ConflictError("dashboard.scope_needed", scope=scope)
