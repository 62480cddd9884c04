"""A button for what cannot be undone, which asks first."""

from typing import Any

import dash_mantine_components as dmc
from dash import html

from kurswerk.dashboard.words.user_context import UserContext


def confirm_button(
    user: UserContext, name: str, label: str, question: str, *, disabled: bool = False, small: bool = False
) -> Any:
    """Return a button for what cannot be undone; it asks first. The answer is ``n_clicks`` of ``confirm_id(name)``."""
    return html.Div(
        [
            dmc.Button(
                label,
                id={"kind": "danger-open", "what": name},
                color="red",
                variant="light",
                size="xs" if small else "sm",
                disabled=disabled,
            ),
            dmc.Modal(
                [
                    dmc.Text(question, id={"kind": "danger-text", "what": name}, mb="md"),
                    dmc.Group(
                        [
                            dmc.Button(user.t("Keep"), id={"kind": "danger-close", "what": name}, variant="default"),
                            dmc.Button(label, id=confirm_id(name), color="red"),
                        ],
                        justify="flex-end",
                    ),
                ],
                id={"kind": "danger-modal", "what": name},
                title=user.t("Are you sure?"),
                closeButtonProps={"aria-label": user.t("Close")},
                transitionProps={"duration": 80},
            ),
        ]
    )


def confirm_id(name: str) -> dict[str, str]:
    """Return the id of the button that does it."""
    return {"kind": "danger-do", "what": name}
