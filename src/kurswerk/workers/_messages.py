"""Lines between a worker and its job processes: one JSON object each."""

import json
from dataclasses import dataclass

from kurswerk.core.messages import Message
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
    message: Message


Line = Setup | Assignment | Report | Ending
_KINDS: dict[str, type[Line]] = {kind.__name__: kind for kind in (Setup, Assignment, Report, Ending)}


def encode(line: Line) -> bytes:
    r"""Write a line.

    Examples
    --------
    >>> encode(Assignment(7, attempt=1))
    b'{"kind": "Assignment", "job_id": 7, "attempt": 1}\n'
    """
    fields = {name: value.as_json() if isinstance(value, Message) else value for name, value in vars(line).items()}
    return json.dumps({"kind": type(line).__name__, **fields}).encode() + b"\n"


def decode(line: bytes) -> Line:
    """Read a line.

    Examples
    --------
    >>> str(decode(encode(Report(0.5, Message("progress.rows", count=1200)))).message)
    '1,200 rows'
    """
    fields = json.loads(line)
    for name in {"message", "reason"} & fields.keys():
        fields[name] = Message.from_json(fields[name])
    return _KINDS[fields.pop("kind")](**fields)
