"""The one table from errors to HTTP statuses, and the body that every error has.

Below this package nothing knows HTTP.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import Scope

from kurswerk.api._openapi import methods_of
from kurswerk.core import errors
from kurswerk.core.messages import Message
from kurswerk.core.validation import wrong_fields
from kurswerk.observability import get_logger
from kurswerk.serving import NotCertifiedError

log = get_logger(__name__)

# 422: a field is wrong whatever the data are; 400: the request cannot be carried out on these data.
STATUS: Mapping[type[Exception], tuple[int, str]] = {
    errors.SpecError: (422, "invalid_spec"),
    errors.UnknownNameError: (422, "unknown_name"),
    errors.TooBroadError: (400, "too_broad"),
    errors.NoDataError: (400, "no_data"),
    errors.DataError: (400, "invalid_data"),
    errors.InvalidInputError: (400, "invalid_request"),
    errors.NotFoundError: (404, "not_found"),
    NotCertifiedError: (409, "not_certified"),
    errors.ConflictError: (409, "conflict"),
    errors.ConstraintError: (409, "constraint_violated"),
    errors.ArtifactCorruptError: (500, "artifact_corrupt"),
    errors.ArtifactError: (409, "artifact_unusable"),
    errors.DatabaseUnavailableError: (503, "database_unavailable"),
    errors.KurswerkError: (500, "internal_error"),
}

_CODES = {
    400: "invalid_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
    429: "rate_limited",
    503: "unavailable",
}
_RETRY_AFTER_S = "5"


class Refusal(HTTPException):
    """An answer that is no answer: status, a code for programs and a message for people."""

    def __init__(
        self, status: int, message: Message, *, code: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, str(message), dict(headers or {}))
        self.message = message
        self.code = code or _CODES.get(status, "invalid_request")


def error_response(
    scope: Scope,
    status: int,
    code: str,
    message: Message,
    *,
    details: Sequence[Mapping[str, Any]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return an error in the form of contracts.md; without other details they hold the message's code alone."""
    body = {
        "code": code,
        "message": str(message),
        "details": [_detail("", message)] if details is None else list(details),
        "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "request_id": scope.get("state", {}).get("request_id", ""),
    }
    return JSONResponse({"error": body}, status, headers=dict(headers or {}))


def response_to(error: Exception, scope: Scope) -> JSONResponse:
    """Return the answer to an error that stopped a call; what nobody foresaw is logged with its traceback."""
    if isinstance(error, HTTPException):
        code = getattr(error, "code", None) or _CODES.get(error.status_code, "invalid_request")
        message = error.message if isinstance(error, Refusal) else Message("api.http_error", reason=error.detail)
        return error_response(scope, error.status_code, code, message, headers=error.headers)
    status, code = status_of(error)
    if status >= 500:
        log.error("request failed", path=path_of(scope), code=code, exc_info=error)
    message = _public_message(error, status)
    headers = {"Retry-After": _RETRY_AFTER_S} if status == 503 else None
    return error_response(scope, status, code, message, details=_details_of(error, message), headers=headers)


def _public_message(error: Exception, status: int) -> Message:
    """Return what a stranger may read of an error: no hosts, tables or paths; the log has them."""
    if isinstance(error, errors.ConstraintError):
        return Message("api.constraint_violated", constraint=error.constraint)
    if status < 500 and isinstance(error, errors.KurswerkError):
        return error.message
    return Message("api.database_unavailable" if status == 503 else "api.internal_error")


def _detail(field: str, message: Message) -> dict[str, Any]:
    """Return an entry of ``details``; the field is empty where the whole call is meant."""
    return {"field": field, "message": str(message), **message.as_json()}


def _details_of(error: Exception, message: Message) -> list[dict[str, Any]]:
    """Return code and parameters of the error, and the checks that a model's certificate failed."""
    failed = error.failed_checks if isinstance(error, NotCertifiedError) else ()
    checks = [{"field": f"certificate.{one['check']}", "message": str(one["message"])} for one in failed]
    return [_detail("", message), *checks]


def path_of(scope: Scope) -> str:
    """Return a request's path as it was sent, percent-encoded, so that nothing in it can harm a log."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return raw.decode("ascii", "backslashreplace")


def status_of(error: Exception) -> tuple[int, str]:
    """Return HTTP status and code of an error, by the nearest of its classes in the table.

    Examples
    --------
    >>> status_of(errors.NoDataError("market.empty")), status_of(ZeroDivisionError())
    ((400, 'no_data'), (500, 'internal_error'))
    """
    for kind in type(error).__mro__:
        if kind in STATUS:
            return STATUS[kind]
    return 500, "internal_error"


def handle_errors(app: FastAPI) -> None:
    """Answer every error of a call in the one form."""

    async def handle(request: Request, error: Exception) -> JSONResponse:
        response = response_to(error, request.scope)
        template = getattr(request.scope.get("route"), "path_format", "")
        if response.status_code == 405 and (methods := methods_of(app, template)):
            response.headers["Allow"] = ", ".join(methods)  # Starlette names those of the first route alone
        return response

    async def handle_fields(request: Request, error: Exception) -> JSONResponse:
        return (
            _response_to_fields(request.scope, error) if isinstance(error, RequestValidationError) else NotImplemented
        )

    app.add_exception_handler(errors.KurswerkError, handle)
    app.add_exception_handler(HTTPException, handle)
    app.add_exception_handler(RequestValidationError, handle_fields)


def _response_to_fields(scope: Scope, error: RequestValidationError) -> JSONResponse:
    """Name every field that is wrong; what was sent is not repeated."""
    found: Sequence[Any] = error.errors()
    if any(item["type"] == "json_invalid" for item in found):
        reason = found[0].get("ctx", {}).get("error", "")
        return error_response(scope, 400, "invalid_json", Message("api.body_not_json", reason=reason))
    wrong = wrong_fields(found)
    field, problem = wrong[0]
    message = Message("validation.field", field=field, problem=problem)
    if len(wrong) > 1:
        message = Message("validation.fields", field=field, problem=problem, more=len(wrong) - 1)
    return error_response(scope, 422, "invalid_fields", message, details=[_detail(*one) for one in wrong])
