"""The application as pages see it: callbacks that run beside the event loop and show errors to the user."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import anyio.to_thread
import dash

from kurswerk.core.errors import KurswerkError
from kurswerk.dashboard.callbacks.cache import QueryCache
from kurswerk.dashboard.callbacks.feedback import notify
from kurswerk.dashboard.callbacks.path_prefix import with_path_prefix
from kurswerk.dashboard.ports import DashboardOptions, DashboardServices
from kurswerk.dashboard.words.user_context import CURRENT, UserContext

Handler = Callable[..., Any]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DashboardApp:
    """The Dash application that callbacks are added to, the services they use, and a cache of query results."""

    dash_app: Any
    services: DashboardServices
    options: DashboardOptions
    cache: QueryCache = field(default_factory=QueryCache)

    def callback(
        self, *dependencies: Any, initial_call: bool = False, running: Any = None
    ) -> Callable[[Handler], Handler]:
        """Register ``handler(user, *values)`` as a callback that runs in a thread beside the event loop.

        A `KurswerkError` is shown to the user in the user's language; any other exception is logged and shown as a
        failure. The outputs stay as they are in both cases.
        """
        has_outputs = any(isinstance(one, dash.Output) for one in dependencies)

        def register(handler: Handler) -> Handler:
            async def run(*values: Any) -> Any:
                if not initial_call and not _triggered_by_user():
                    raise dash.exceptions.PreventUpdate
                found = await anyio.to_thread.run_sync(partial(_call_showing_errors, handler, CURRENT.get(), values))
                prefix = self.options.path_prefix
                found = with_path_prefix(found, prefix) if prefix else found
                return found if has_outputs else None

            self.dash_app.callback(*dependencies, prevent_initial_call=not initial_call, running=running)(run)
            return handler

        return register

    def callback_when_visible(self, area: str, *states: dash.State) -> Callable[[Handler], Handler]:
        """Register ``handler(user, *values)``, which returns the content of a `lazy_area` once it is scrolled to.

        Content below the window costs the first view of a page nothing, nor do changes of it before it is seen.
        """

        def register(handler: Handler) -> Handler:
            def fill(user: UserContext, _: bool, *values: Any) -> Any:
                return handler(user, *values)

            self.callback(dash.Output(area, "children"), dash.Input(area, "data-seen"), *states)(fill)
            return handler

        return register

    def clientside_callback(self, script: str, *dependencies: Any, initial_call: bool = False) -> None:
        """Register a JavaScript function as a callback."""
        self.dash_app.clientside_callback(script, *dependencies, prevent_initial_call=not initial_call)


def _triggered_by_user() -> bool:
    """Whether an input has a value: one that has none has only just been put on the page."""
    return any(
        any(value) if isinstance(value, list) else value is not None
        for value in (one.get("value") for one in dash.ctx.triggered)
    )


def _call_showing_errors(handler: Handler, user: UserContext, values: Sequence[Any]) -> Any:
    try:
        return handler(user, *values)
    except KurswerkError as error:
        notify(user.t("That did not work"), user.message(error), success=False)
    except dash.exceptions.PreventUpdate:
        raise
    except Exception:  # noqa: BLE001 - whatever it is, the user sees that it failed, the log has the cause
        _log.exception("a callback of the dashboard failed: %s", handler.__qualname__)
        notify(user.t("Something went wrong"), user.t("The cause is in the server's log. Try again."), success=False)
    return dash.no_update
