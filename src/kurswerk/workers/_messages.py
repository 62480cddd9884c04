"""Messages between a worker and its job processes: one JSON object a line."""

import json
from dataclasses import asdict, dataclass

from kurswerk.jobs import Ending


@dataclass(frozen=True)
class Setup:
    """The worker's first line: what the process works on; no argument, because the URL may hold a password.

    ``data_dir`` is the folder of the files that jobs write, ``memory_budget_bytes`` what a job may take.
    """

    database_url: str
    data_dir: str
    memory_budget_bytes: int | None


@dataclass(frozen=True)
class Assignment:
    """Run this attempt of a job."""

    job_id: int
    attempt: int


@dataclass(frozen=True)
class Report:
    """How far the job is: a share in [0, 1] and what is happening."""

    fraction: float
    message: str


Message = Setup | Assignment | Report | Ending
_KINDS: dict[str, type[Message]] = {kind.__name__: kind for kind in (Setup, Assignment, Report, Ending)}


def encode(message: Message) -> bytes:
    r"""Write a message as a line.

    Examples
    --------
    >>> encode(Assignment(7, attempt=1))
    b'{"kind": "Assignment", "job_id": 7, "attempt": 1}\n'
    """
    return json.dumps({"kind": type(message).__name__, **asdict(message)}).encode() + b"\n"


def decode(line: bytes) -> Message:
    """Read a line.

    Examples
    --------
    >>> decode(encode(Report(0.5, "fold 2 of 4")))
    Report(fraction=0.5, message='fold 2 of 4')
    """
    fields = json.loads(line)
    return _KINDS[fields.pop("kind")](**fields)
