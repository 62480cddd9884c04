"""What routes are given by FastAPI: the application's ports, and the id of the request."""

from typing import Annotated

from fastapi import Depends, Request

from kurswerk.api.ports import ApiPorts


def _ports(request: Request) -> ApiPorts:
    ports: ApiPorts = request.app.state.ports
    return ports


Ports = Annotated[ApiPorts, Depends(_ports)]
"""A parameter of this type is given the application's ports."""


def request_id_of(request: Request) -> str:
    """Return the id under which the log knows a request."""
    return str(request.state.request_id)
