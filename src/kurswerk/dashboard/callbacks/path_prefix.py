"""Addresses below a reverse proxy's path: pages name theirs without it, and it is put in front where they are sent."""

from typing import Any

from dash.development.base_component import Component


def with_path_prefix(content: Any, prefix: str) -> Any:
    """Return what a callback gives with a prefix in front of every address of this server.

    Addresses are texts under ``href`` that begin with one slash, in components and in the rows of tables. Components
    are changed in place; an address that has the prefix already stays as it is.

    Examples
    --------
    >>> with_path_prefix([{"href": "/dashboard/jobs"}, {"href": "https://example.org/"}], "/ml")
    [{'href': '/ml/dashboard/jobs'}, {'href': 'https://example.org/'}]
    """
    if isinstance(content, Component):
        for name, value in list(vars(content).items()):
            setattr(content, name, _prefixed(name, value, prefix))
        return content
    if isinstance(content, dict):
        return {name: _prefixed(name, value, prefix) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return type(content)(with_path_prefix(item, prefix) for item in content)
    return content


def _prefixed(name: Any, value: Any, prefix: str) -> Any:
    if name != "href" or not isinstance(value, str):
        return with_path_prefix(value, prefix)
    ours = value.startswith("/") and not value.startswith(("//", f"{prefix}/"))
    return prefix + value if ours else value
