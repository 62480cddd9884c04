"""Documents without what differs between two runs of the same program: clocks, durations, places and random ids."""

import re
from collections.abc import Mapping
from typing import Any

# The simulated markets of the recordings lie in 2025 or before, so that later years can only be the clock's.
_CLOCK = re.compile(r"20(?:2[6-9]|[3-9]\d)-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?")
_UUID = re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b|\b[0-9a-f]{32}\b")
_KEY = re.compile(r"\bkw_[\w-]+")
_PORT = re.compile(r"(127\.0\.0\.1|localhost):\d+")
# Measurements of the machine that runs, in the messages of health checks and in the log of a job.
_MACHINE = re.compile(r"\b\d+(?:\.\d+)?(?= GB free| % in use)|(?<=worker )[\w.-]+:\d+")
# The revision of the tables grows with every migration.
_REVISION = re.compile(r"\b00\d\d\b")
_SECONDS = re.compile(r"\b\d+(?:\.\d+)? (?:ms|s|seconds?|minutes?)\b")
# Fields whose values are measured by the clock, or are of the machine that runs.
_MEASURED = re.compile(
    r"seconds$|_ms$|_s$|_bytes$|^(uptime|lag|age|pid|worker_id|size_bytes|memory_bytes|prefix|server_version|replicas"
    r"|predictions_last_hour|coins_tracked|seen_at|last_prediction|instance|host)"
)
# What stands for such a value; normalising twice changes nothing.
_WORDS = ("<number>", "<text>")
# Those that are settings or results, though they end so.
_SETTINGS = {"cooldown_seconds", "interval_seconds"}


class Normaliser:
    """Replaces what is volatile by a word that names what stood there.

    Parameters
    ----------
    places
        Text → word: directories, databases and addresses of this run. Longer texts are replaced first.
    """

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = dict(sorted(places.items(), key=lambda item: -len(item[0])))

    def __call__(self, value: Any, field: str = "") -> Any:
        """Return a JSON document with the volatile values replaced.

        Examples
        --------
        >>> Normaliser({"/tmp/x": "<folder>"})({"path": "/tmp/x/a", "seconds": 1.5, "at": "2031-01-01T00:00:00Z"})
        {'path': '<folder>/a', 'seconds': '<number>', 'at': '<time>'}
        """
        if isinstance(value, dict):
            return {key: self(item, str(key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self(item, field) for item in value]
        if value in _WORDS:
            return value
        if value is not None and not isinstance(value, bool) and field not in _SETTINGS and _MEASURED.search(field):
            return "<number>" if isinstance(value, int | float) else "<text>"
        return self.text(value) if isinstance(value, str) else value

    def text(self, text: str) -> str:
        """Return a text with what is volatile in it replaced."""
        for place, word in self._places.items():
            text = text.replace(place, word)
        for pattern, word in ((_CLOCK, "<time>"), (_UUID, "<id>"), (_KEY, "<key>")):
            text = pattern.sub(word, text)
        text = _REVISION.sub("<revision>", _MACHINE.sub("<machine>", text))
        return _SECONDS.sub("<duration>", _PORT.sub(r"\1:<port>", text))
