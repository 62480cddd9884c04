"""Jobs: ordered over the API, carried out by workers, in the same database as everything else."""

from kurswerk.jobs._store import ProcrastinateJobStore

__all__ = ["ProcrastinateJobStore"]
