"""What a person sees while a job is waited for."""

import sys
from typing import TextIO

from kurswerk.client._records import Job

_WIDTH = 100


class ProgressLine:
    """Shows a job's progress in one line that is written over; silent where the stream is no terminal."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._shown = ""

    def __call__(self, job: Job) -> None:
        """Take the job as it is now."""
        if not self._stream.isatty():
            return
        line = f"job {job.id} {job.status.lower()} {job.progress:4.0%}  {job.progress_msg or ''}"[:_WIDTH].rstrip()
        if line != self._shown:
            self._stream.write(f"\r{line:{len(self._shown)}}")
            self._shown = line
        if job.ended:
            self._stream.write("\n")
        self._stream.flush()


def silent(job: Job) -> None:
    """Show nothing."""
