"""What pages are registered with: callbacks that run beside the event loop and turn errors into words."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import Any, Final
from urllib.parse import parse_qs

import anyio.to_thread
import dash

from kurswerk.core.errors import ConflictError, KurswerkError
from kurswerk.dashboard._memory import Memory
from kurswerk.dashboard._view import CURRENT, View
from kurswerk.dashboard.ports import Options, Services

NOTICES: Final = "notices"
Work = Callable[..., Any]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kit:
    """The application that callbacks are added to, what they work with, and what is kept between two of them."""

    app: Any
    services: Services
    options: Options
    memory: Memory = field(default_factory=Memory)

    def on(self, *dependencies: Any, at_start: bool = False, running: Any = None) -> Callable[[Work], Work]:
        """Register ``work(view, *values)`` as a callback.

        A `KurswerkError` is shown to the reader in the reader's language, anything else is logged and said to have
        failed; the outputs stay as they are.
        """
        answers = any(isinstance(one, dash.Output) for one in dependencies)

        def register(work: Work) -> Work:
            async def run(*values: Any) -> Any:
                if not at_start and not _somebody_did():
                    raise dash.exceptions.PreventUpdate
                found = await anyio.to_thread.run_sync(partial(_guarded, work, CURRENT.get(), values))
                return found if answers else None

            self.app.callback(*dependencies, prevent_initial_call=not at_start, running=running)(run)
            return work

        return register

    def when_seen(self, name: str, *states: dash.State) -> Callable[[Work], Work]:
        """Register ``work(view, *values)``, which returns what fills the place ``name``, made by `later`.

        What lies below the window costs the first look at a page nothing, nor does any change of it before it is seen.
        """

        def register(work: Work) -> Work:
            def fill(view: View, _: bool, *values: Any) -> Any:
                return work(view, *values)

            self.on(dash.Output(name, "children"), dash.Input(name, "data-seen"), *states)(fill)
            return work

        return register

    def in_browser(self, script: str, *dependencies: Any, at_start: bool = False) -> None:
        """Register a JavaScript function as a callback."""
        self.app.clientside_callback(script, *dependencies, prevent_initial_call=not at_start)


@dataclass(frozen=True)
class Page:
    """One page.

    Attributes
    ----------
    path
        Below ``/dashboard``; a part in braces is handed to ``build`` as a text of that name.
    title
        In the catalogue; stands in the menu, if ``menu``, and in the browser's tab.
    build
        ``build(kit, view, query, **parts)`` returns the content.
    register
        Adds the callbacks.
    tables, charts
        Whether it shows some, so that the browser fetches early what draws them.
    """

    path: str
    title: str
    build: Callable[..., Any]
    register: Callable[[Kit], None]
    icon: str = ""
    menu: bool = True
    tables: bool = False
    charts: bool = False

    def parts_of(self, path: str) -> Mapping[str, str] | None:
        """Return the parts of a path that is this page's, else None.

        Examples
        --------
        >>> Page("/models/{model_id}", "Model", print, print).parts_of("/models/3")
        {'model_id': '3'}
        """
        mine, given = self.path.strip("/").split("/"), path.strip("/").split("/")
        if len(mine) != len(given):
            return None
        found = {}
        for own, other in zip(mine, given, strict=True):
            if own.startswith("{"):
                found[own.strip("{}")] = other
            elif own != other:
                return None
        return found


def query_of(search: str | None) -> dict[str, str]:
    """Read the filters in an address.

    Examples
    --------
    >>> query_of("?status=READY&name=a%20b")
    {'status': 'READY', 'name': 'a b'}
    """
    return {name: values[-1] for name, values in parse_qs((search or "").lstrip("?")).items()}


def notify(title: str, message: Any = "", *, good: bool = True) -> None:
    """Show a notice from within a callback."""
    notice = {
        "action": "show",
        "title": title,
        "message": message,
        "color": "teal" if good else "red",
        "autoClose": 6000 if good else 15000,
        "position": "bottom-right",
        "closeButtonProps": {"aria-label": CURRENT.get().t("Close")},
    }
    dash.set_props(NOTICES, {"sendNotifications": [notice]})


def to(path: str) -> dict[str, Any]:
    """Return what the store ``go`` is given to lead the reader to a page."""
    return {"to": path, "at": monotonic()}


def demand(view: View, scope: str) -> None:
    """Refuse what the reader's key does not allow."""
    if not view.may(scope):
        raise ConflictError(view.t("Your API key lacks the scope “{scope}”; sign in with another one.", scope=scope))


def _somebody_did() -> bool:
    """Whether an input has a value: one that has none has only just been put on the page."""
    return any(
        any(value) if isinstance(value, list) else value is not None
        for value in (one.get("value") for one in dash.ctx.triggered)
    )


def _guarded(work: Work, view: View, values: Sequence[Any]) -> Any:
    try:
        return work(view, *values)
    except KurswerkError as error:
        notify(view.t("That did not work"), view.say(error), good=False)
    except dash.exceptions.PreventUpdate:
        raise
    except Exception:  # noqa: BLE001 - whatever it is, the reader hears of it and the log has the cause
        _log.exception("a callback of the dashboard failed: %s", work.__qualname__)
        notify(view.t("Something went wrong"), view.t("The server's log says what. Try again."), good=False)
    return dash.no_update
