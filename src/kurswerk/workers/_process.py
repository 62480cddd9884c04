"""A job process as its worker sees it: started once, given one job after another, killed when need be."""

import asyncio
import contextlib
import signal
from collections.abc import Sequence

import psutil

from kurswerk.core.messages import Message
from kurswerk.jobs import Ending, Job, ProgressListener
from kurswerk.workers._messages import Assignment, Report, Setup, decode, encode

# The exit code of a job process that lost the database (EX_TEMPFAIL of sysexits.h).
DATABASE_LOST = 75
_MEMORY_CHECK_S = 0.5
_LONGEST_LINE = 1 << 20
_GIB = 1 << 30


class ProcessRunner:
    """A process that runs jobs one after another; a new one is started when it is gone. A `kurswerk.jobs.Runner`.

    Parameters
    ----------
    command
        Program and arguments; it calls `kurswerk.workers.serve_jobs`.
    setup
        What it works on. Above its memory budget the process is killed and the job fails.
    """

    def __init__(self, command: Sequence[str], setup: Setup) -> None:
        self._command = tuple(command)
        self._setup = setup
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """Its number, None where there is none."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def start(self) -> None:
        """Start it unless it runs; it gets ready by itself, so that the next job need not wait."""
        if self.pid is not None:
            return
        pipe = asyncio.subprocess.PIPE
        # In a session of its own: Ctrl-C on our terminal reaches the worker, which then stops it.
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdin=pipe, stdout=pipe, limit=_LONGEST_LINE, start_new_session=True
        )
        self._send(encode(self._setup))

    async def run(self, job: Job, listener: ProgressListener) -> Ending:
        """Have a job run, handing on what the process reports; if the caller is cancelled, the process is killed."""
        await self.start()
        self._send(encode(Assignment(job.id, job.attempt)))
        work = asyncio.ensure_future(self._listen(listener))
        memory = asyncio.ensure_future(self._memory_exceeded())
        ended = False
        try:
            await asyncio.wait({work, memory}, return_when=asyncio.FIRST_COMPLETED)
            ended = work.done()
            return work.result() if ended else Ending("failed", memory.result())
        finally:
            if not ended:
                await self.kill()
            for task in (work, memory):
                task.cancel()
            await asyncio.gather(work, memory, return_exceptions=True)

    async def kill(self) -> None:
        """End it at once, whatever it does; its transaction is rolled back by the server."""
        process = self._process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()

    def _send(self, line: bytes) -> None:
        # A process that is gone shows by the end of its output, not here.
        if self._process and self._process.stdin:
            with contextlib.suppress(ConnectionError, RuntimeError):
                self._process.stdin.write(line)

    async def _listen(self, listener: ProgressListener) -> Ending:
        process = self._process
        if process is None or process.stdout is None:
            return Ending("died", Message("job.process_not_started"))
        while line := await process.stdout.readline():
            message = decode(line)
            if isinstance(message, Report):
                await listener(message.fraction, message.message)
            elif isinstance(message, Ending):
                return message
        return ending_of(await process.wait())

    async def _memory_exceeded(self) -> Message:
        """Return the reason once the process takes more than it may; never, where there is no limit."""
        budget = self._setup.memory_budget_bytes
        with contextlib.suppress(psutil.Error):  # gone: its output ends, too
            process = psutil.Process(self.pid) if self.pid else None
            while process and budget:
                used = process.memory_info().rss
                if used > budget:
                    return Message("job.memory_exceeded", used=used / _GIB, allowed=budget / _GIB)
                await asyncio.sleep(_MEMORY_CHECK_S)
        return await asyncio.Future()


def ending_of(returncode: int) -> Ending:
    """Return what the end of the process itself means for the job it was running.

    Examples
    --------
    >>> str(ending_of(-9).reason)
    'its process was killed by signal 9 (perhaps out of memory)'
    """
    if returncode == DATABASE_LOST:
        return Ending("interrupted", Message("job.database_lost"))
    if returncode < 0:
        code = "job.process_killed_memory" if returncode == -signal.SIGKILL else "job.process_killed"
        return Ending("died", Message(code, signal=-returncode))
    return Ending("died", Message("job.process_ended", exit_code=returncode))
