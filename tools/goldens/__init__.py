"""Goldens: what a user of Kurswerk can observe, recorded from one commit and compared with every later one.

Only surfaces that are promised to users are used: the command line, the REST API, the database and its tables, and
artifacts. So the same recorder works on any commit, however the package is laid out inside.
"""

from goldens._bars import BARS, record_bars
from goldens._command_line import record_command_line
from goldens._command_line import run as run_command
from goldens._compare import Difference, IntendedDifference, Judgement, differences, judge, read_intended
from goldens._normalise import Normaliser
from goldens._platform import environment, platform_key
from goldens._schema import record_schema
from goldens._service import record_service
from goldens._store import DATA, Golden, read_golden, write_golden

__all__ = [
    "BARS",
    "DATA",
    "Difference",
    "Golden",
    "IntendedDifference",
    "Judgement",
    "Normaliser",
    "differences",
    "environment",
    "judge",
    "platform_key",
    "read_golden",
    "read_intended",
    "record_bars",
    "record_command_line",
    "record_schema",
    "record_service",
    "run_command",
    "write_golden",
]
