"""The REST API: one file per noun, its shapes in ``schemas``, errors to HTTP in one table."""

from kurswerk.api._app import ROUTERS, create_app
from kurswerk.api._services import ApiOptions, Services, ServicesOf
from kurswerk.api.frames import FrameProtocol

__all__ = ["ROUTERS", "ApiOptions", "FrameProtocol", "Services", "ServicesOf", "create_app"]
