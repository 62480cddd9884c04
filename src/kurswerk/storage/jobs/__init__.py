"""Jobs and their runs, log and files, the queue and the workers on it, and the lock that a running job holds."""

from kurswerk.storage.jobs._files import FolderJobFiles
from kurswerk.storage.jobs._lock import PostgresJobLock
from kurswerk.storage.jobs._runs import PostgresRunStore
from kurswerk.storage.jobs._store import PostgresJobStore
from kurswerk.storage.jobs._worker_status import workers_status

__all__ = ["FolderJobFiles", "PostgresJobLock", "PostgresJobStore", "PostgresRunStore", "workers_status"]
