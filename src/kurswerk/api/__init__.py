"""The REST API: one file per noun, its shapes in ``schemas``, errors to HTTP in one table."""

from kurswerk.api._app import ROUTERS, create_app
from kurswerk.api._options import ApiOptions
from kurswerk.api._proxies import ProxyMiddleware, ProxyOptions
from kurswerk.api.frames import FrameProtocol
from kurswerk.api.ports import ApiPorts

__all__ = ["ROUTERS", "ApiOptions", "ApiPorts", "FrameProtocol", "ProxyMiddleware", "ProxyOptions", "create_app"]
