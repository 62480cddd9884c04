"""The tree of errors.

::

    KurswerkError
    ├── InvalidInputError            what the user gave cannot be used
    │   ├── SpecError                a model specification, parameter or period
    │   ├── UnknownNameError         a feature, column or model type nobody knows (names the nearest)
    │   ├── DataFileError            a file that is not of its declared format
    │   ├── TooBroadError            a search that would read too much
    │   └── DataError                rows that cannot make a panel, a label or a fold
    │       └── NoDataError          nothing there in the period or for the coins asked for
    ├── NotFoundError                a model, coin or result that does not exist
    ├── ConflictError                the request contradicts the present state (name taken, not READY)
    ├── ArtifactError                a model artifact that must not be loaded
    │   ├── ArtifactCorruptError     bytes differ from their SHA-256
    │   └── ArtifactForeignError     not written by Kurswerk, or for other features
    ├── BackupError                  a backup that must not be restored: damaged, of another key, of a newer program
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
from typing import Any

from typing_extensions import override

from kurswerk.core.messages import Message

# Of the names that would have been right.
_MOST_SHOWN = 12


class KurswerkError(Exception):
    """Root of all errors that Kurswerk raises on purpose.

    Parameters
    ----------
    code
        Which message of the catalogues describes what is wrong and what to do, such as ``"market.duplicate_rows"``.
    **params
        The values in it.

    Attributes
    ----------
    message
        Code and values; ``str(error)`` is its English text.

    Examples
    --------
    >>> error = KurswerkError("file.missing", path="a.csv")
    >>> str(error), error.render("de")
    ('a.csv does not exist', 'a.csv gibt es nicht')
    """

    def __init__(self, code: str, /, **params: Any) -> None:
        super().__init__(code)
        self.message = Message(code, **params)

    @override
    def __str__(self) -> str:
        return self.render()

    def render(self, locale: str = "en") -> str:
        """Return the message in words, in English where a locale lacks it."""
        return self.message.render(locale)


class InvalidInputError(KurswerkError):
    """What the user gave cannot be used; the message names the reason and what to do."""


class SpecError(InvalidInputError):
    """A model specification, a parameter or a period is wrong."""


class UnknownNameError(InvalidInputError):
    """A name nobody knows.

    Parameters
    ----------
    code
        Names what was asked for; its message takes ``{name}`` and ``{hint}``.
    name
        The unknown name.
    known
        All names that would have been right; the nearest is offered.

    Examples
    --------
    >>> str(UnknownNameError("column.unknown", name="price_clse", known=["price_close", "price_open"]))
    "unknown column 'price_clse'; did you mean 'price_close'?"
    """

    def __init__(self, code: str, /, *, name: str, known: Iterable[str], **params: Any) -> None:
        super().__init__(code, name=name, hint=name_hint(name, known), **params)
        self.name = name


def name_hint(name: str, known: Iterable[str]) -> Message:
    """Return the nearest of the known names, or some of them where none is near."""
    choices = sorted(known)
    near = get_close_matches(name, choices, n=1, cutoff=0.5)
    if near:
        return Message("hint.did_you_mean", name=near[0])
    if not choices:
        return Message("hint.none_known")
    code = "hint.known" if len(choices) <= _MOST_SHOWN else "hint.known_more"
    return Message(code, names=choices[:_MOST_SHOWN])


class DataFileError(InvalidInputError):
    """A file that cannot be read in the format of its name."""


class TooBroadError(InvalidInputError):
    """A search that would read too much; the message explains how to narrow it."""


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


class BackupError(KurswerkError):
    """A backup that must not be restored: incomplete, damaged, of another key or of a newer program."""


class StorageError(KurswerkError):
    """The database refused a statement."""


class DatabaseUnavailableError(StorageError):
    """No connection to the database."""


class ConstraintError(StorageError):
    """A constraint of the database was violated; ``constraint`` is its name."""

    def __init__(self, code: str, /, *, constraint: str, **params: Any) -> None:
        super().__init__(code, constraint=constraint, **params)
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
        What the service reports, with code and parameters where it gave them.
    text
        The same in English, as the service has it; stands for a code that this version does not know.
    status, code
        HTTP status, and the error's name for programs, such as ``"not_found"``.
    details
        One entry for each wrong field.
    request_id
        Finds the request in the service's log.
    """

    def __init__(
        self,
        message: Message,
        *,
        text: str,
        status: int,
        code: str = "",
        details: Sequence[Mapping[str, Any]] = (),
        request_id: str = "",
    ) -> None:
        super().__init__(message.code, **message.params)
        self.text, self.status, self.code = text, status, code
        self.details, self.request_id = tuple(details), request_id

    @override
    def render(self, locale: str = "en") -> str:
        """Return what the service reports, in its English where a locale lacks it."""
        rendered = self.message.render(locale)
        return self.text if locale == "en" or rendered == self.message.code else rendered


class JobFailedError(ServiceError):
    """The job that was waited for failed or was cancelled; ``job_id`` and ``status`` name which and how."""

    def __init__(self, code: str, /, *, job_id: int, status: str, **params: Any) -> None:
        super().__init__(code, job_id=job_id, status=status, **params)
        self.job_id, self.status = job_id, status
