"""The tree of errors.

::

    KurswerkError
    ├── InvalidInputError            what the user gave cannot be used
    │   ├── SpecError                a model specification, parameter or period
    │   ├── UnknownNameError         a feature, column or model type nobody knows (names the nearest)
    │   ├── DataFileError            a file that is not what it says it is
    │   ├── TooBroadError            a search that would read too much
    │   └── DataError                rows that cannot make a panel, a label or a fold
    │       └── NoDataError          nothing there in the period or for the coins asked for
    ├── NotFoundError                a model, coin or result that does not exist
    ├── ConflictError                the request contradicts the present state (name taken, not READY)
    ├── ArtifactError                a model artifact that must not be loaded
    │   ├── ArtifactCorruptError     bytes differ from their SHA-256
    │   └── ArtifactForeignError     not written by Kurswerk, or for other features
    ├── StorageError                 the database refused or could not be reached
    │   ├── DatabaseUnavailableError no connection
    │   └── ConstraintError          a named constraint was violated
    └── ServiceError                 a Kurswerk service, asked over HTTP, did not do what was asked
        ├── ServiceUnavailableError  no answer
        ├── RequestRefusedError      an error answer, with its status and code
        └── JobFailedError           the job that was waited for failed or was cancelled
"""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches


class KurswerkError(Exception):
    """Root of all errors that Kurswerk raises on purpose."""


class InvalidInputError(KurswerkError):
    """What the user gave cannot be used; the message says why and what to do."""


class SpecError(InvalidInputError):
    """A model specification, a parameter or a period is wrong."""


class UnknownNameError(InvalidInputError):
    """A name nobody knows.

    Parameters
    ----------
    kind
        What was named, e.g. ``"feature"``.
    name
        The unknown name.
    known
        All names that would have been right; the nearest is offered.

    Examples
    --------
    >>> str(UnknownNameError("column", "price_clse", ["price_close", "price_open"]))
    "unknown column 'price_clse'; did you mean 'price_close'?"
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name = kind, name
        choices = sorted(known)
        near = get_close_matches(name, choices, n=1, cutoff=0.5)
        if near:
            hint = f"did you mean '{near[0]}'?"
        else:
            shown = ", ".join(choices[:12]) + (", …" if len(choices) > 12 else "")
            hint = f"known: {shown}" if choices else "none are known"
        super().__init__(f"unknown {kind} '{name}'; {hint}")


class DataFileError(InvalidInputError):
    """A file that cannot be read as what its name says."""


class TooBroadError(InvalidInputError):
    """A search that would read too much; the message says how to narrow it."""


class DataError(InvalidInputError):
    """Rows that cannot make a panel, a label or a fold."""


class NoDataError(DataError):
    """Nothing is there in the period, or for the coins, that were asked for."""


class NotFoundError(KurswerkError):
    """A model, coin or result that does not exist."""


class ConflictError(KurswerkError):
    """The request contradicts the present state, e.g. a name that is taken."""


class ArtifactError(KurswerkError):
    """A model artifact that must not be loaded."""


class ArtifactCorruptError(ArtifactError):
    """The bytes of an artifact differ from the SHA-256 it was registered with."""


class ArtifactForeignError(ArtifactError):
    """An artifact that Kurswerk did not write, or that belongs to other features."""


class StorageError(KurswerkError):
    """The database refused a statement."""


class DatabaseUnavailableError(StorageError):
    """No connection to the database."""


class ConstraintError(StorageError):
    """A constraint of the database was violated; ``constraint`` is its name."""

    def __init__(self, message: str, constraint: str) -> None:
        super().__init__(message)
        self.constraint = constraint


class ServiceError(KurswerkError):
    """A Kurswerk service, asked over HTTP, did not do what was asked."""


class ServiceUnavailableError(ServiceError):
    """The service gave no answer."""


class RequestRefusedError(ServiceError):
    """The service answered with an error.

    Parameters
    ----------
    message
        What the service said.
    status, code
        HTTP status, and the error's name for programs, such as ``"not_found"``.
    details
        One entry per wrong field.
    request_id
        Finds the request in the service's log.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str = "",
        details: Sequence[Mapping[str, str]] = (),
        request_id: str = "",
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.details, self.request_id = status, code, tuple(details), request_id


class JobFailedError(ServiceError):
    """The job that was waited for failed or was cancelled; ``job_id`` and ``status`` say which and how."""

    def __init__(self, message: str, *, job_id: int, status: str) -> None:
        super().__init__(message)
        self.job_id, self.status = job_id, status
