"""The embedded server, shared by processes that start, die and stop."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from kurswerk.core.errors import DatabaseUnavailableError
from kurswerk.storage.server import Database, EmbeddedPostgres
from kurswerk.storage.server import _binaries as binaries
from server_folders import server_folder

START = """
import sys
from pathlib import Path
from kurswerk.storage.server import Database, EmbeddedPostgres
url = EmbeddedPostgres(Path(sys.argv[1])).start()
with Database(url).connection() as connection:
    print(connection.execute("SELECT pg_backend_pid() > 0").fetchone()[0], url, flush=True)
"""


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A folder whose server, if any, is stopped in the end; short, because sockets need short paths."""
    folder = server_folder("kw-")
    yield folder
    for cluster in folder.rglob("PG_VERSION"):
        if cluster.parent.name == "postgres":
            EmbeddedPostgres(cluster.parents[1]).stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def pristine() -> Iterator[Path]:
    """A data directory whose server ran once; copied by tests that are not about the first start."""
    folder = server_folder("kw-")
    with EmbeddedPostgres(folder):
        pass
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def stopped(pristine: Path, data_dir: Path) -> EmbeddedPostgres:
    """A server that was stopped, in ``data_dir``."""
    cluster = data_dir / "postgres"
    shutil.copytree(pristine / "postgres", cluster)
    owner = (pristine / "postgres").stat()
    for path in (cluster, *cluster.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)
    return EmbeddedPostgres(data_dir)


def start_elsewhere(data_dir: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", START, str(data_dir)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_start_stop_and_start_again_keeps_the_data(data_dir: Path):
    server = EmbeddedPostgres(data_dir / "a folder, with blanks & ünïcode")
    assert not server.status().running
    assert not server.stop()
    database = Database(server.start())
    assert server.start() == database.url
    status = server.status()
    assert (status.running, status.url, status.version) == (True, database.url, "18")
    with database.connection() as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    assert server.stop()
    assert not server.status().running
    with server, database.connection() as connection:
        assert connection.execute("SELECT one FROM kept").fetchone() == (1,)
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
    assert not server.status().running


def test_a_path_too_long_for_a_socket_gets_a_short_one(data_dir: Path):
    deep = data_dir / ("x" * 100) / ("y" * 60)
    with EmbeddedPostgres(deep) as server:
        url = server.status().url
        assert url is not None
        assert "%2Ftmp%2Fkurswerk-" in url
        assert Database(url).check().startswith("18")
        folder = Path("/tmp") / url.rpartition("%2F")[2]
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()
    folder.mkdir(mode=0o755)
    with pytest.raises(DatabaseUnavailableError, match="open to others"):
        server.start()
    folder.chmod(0o700)
    server.start()  # the folder is there, and ours
    (folder / "note.txt").write_text("somebody put something here")
    assert server.stop()
    shutil.rmtree(folder)


def test_processes_that_start_at_once_share_one_server(data_dir: Path):
    processes = [start_elsewhere(data_dir) for _ in range(4)]
    answers = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, answers
    assert len({out for out, _ in answers}) == 1
    assert EmbeddedPostgres(data_dir).status().running  # nobody took it along


@pytest.mark.parametrize("pause_s", [0.3, 0.8, 1.5])
def test_a_process_killed_while_it_starts_the_server_leaves_nothing_broken(data_dir: Path, pause_s: float):
    first = start_elsewhere(data_dir)
    time.sleep(pause_s)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert Database(EmbeddedPostgres(data_dir).start()).check().startswith("18")


def test_a_server_that_comes_up_while_leftovers_are_searched_is_kept(
    stopped: EmbeddedPostgres, data_dir: Path, monkeypatch
):
    """As one does that a killed process had begun to start: it stands in no folder yet, then its file is there."""
    cluster, log = data_dir / "postgres", data_dir / "postgres.log"
    with stopped:  # its settings are those of this folder now
        pass

    def look(server: EmbeddedPostgres) -> list[int]:
        if server.status().pid is None:
            words = ["start", "-D", str(cluster), "-l", str(log), "-w", "-s"]
            user = binaries.ServerUser.choose(cluster)
            binaries.run(server._program("pg_ctl"), words, user, what="starting PostgreSQL", log=log)
        return []

    monkeypatch.setattr(EmbeddedPostgres, "_survivors", look)
    assert Database(stopped.start()).check()
    assert (cluster / "postmaster.pid").is_file()


def test_a_database_that_a_lost_session_is_creating_is_waited_for(stopped: EmbeddedPostgres):
    url = stopped.start()
    others = url.replace("/kurswerk?", "/postgres?")

    def create() -> None:
        with (
            psycopg.connect(others, autocommit=True) as connection,
            contextlib.suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation),
        ):
            connection.execute("CREATE DATABASE kurswerk")

    for _ in range(3):
        with psycopg.connect(others, autocommit=True) as connection:
            connection.execute("DROP DATABASE kurswerk WITH (FORCE)")
        session = threading.Thread(target=create)
        session.start()
        try:
            assert Database(stopped.start()).check()
        finally:
            session.join()


def test_a_killed_server_recovers_what_was_committed(stopped: EmbeddedPostgres, data_dir: Path):
    server = stopped
    database = Database(server.start())
    with database.connection() as connection:
        connection.execute("CREATE TABLE kept AS SELECT 2 AS two")
    pid = server.status().pid
    assert pid is not None
    with contextlib.closing(psycopg.connect(database.url)):  # its backend outlives the server for a moment
        os.kill(pid, signal.SIGKILL)
        with Database(server.start()).connection() as connection:
            assert connection.execute("SELECT two FROM kept").fetchone() == (2,)


ELSEWHERE = """
import sys
from pathlib import Path
from kurswerk.storage.server import EmbeddedPostgres, _embedded
_embedded._MOST_SURVIVAL_S = 0.2
print(EmbeddedPostgres(Path(sys.argv[1])).start())
"""


def test_a_server_of_another_container_is_neither_joined_by_a_second_nor_harmed(
    stopped: EmbeddedPostgres, data_dir: Path
):
    """In a PID namespace of its own, as in another container, its processes cannot be seen."""
    unshare = ["unshare", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*unshare, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine allows no PID namespaces")
    command = [*unshare, sys.executable, "-c", ELSEWHERE, str(data_dir)]
    database = Database(stopped.start())
    with database.connection() as connection:  # its number is taken in the other namespace, too
        refused = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
        assert "another container's; stop that one" in refused.stderr
        assert connection.execute("SELECT 2").fetchone() == (2,)
    assert database.check()
    stopped.stop()
    assert subprocess.run(command, check=False, capture_output=True, text=True, timeout=120).returncode == 0
    assert Database(stopped.start()).check()


def test_a_stale_pid_file_of_another_program_is_overcome(stopped: EmbeddedPostgres, data_dir: Path):
    server = stopped
    pid_file = data_dir / "postgres" / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{data_dir / 'postgres'}\n1\n5432\n\n\n0 0\nready\n")
    assert server.status().pid is None
    assert Database(server.start()).check()


def test_a_server_that_cannot_start_names_the_reason(stopped: EmbeddedPostgres, data_dir: Path):
    server = stopped
    with (data_dir / "postgres" / "postgresql.conf").open("a") as file:
        file.write("no_such_setting = 1\n")
    with pytest.raises(DatabaseUnavailableError, match="no_such_setting"):
        server.start()


def test_a_folder_of_something_else_is_not_touched(data_dir: Path):
    (data_dir / "postgres").mkdir()
    (data_dir / "postgres" / "letter.txt").write_text("dear")
    with pytest.raises(DatabaseUnavailableError, match="no PostgreSQL cluster"):
        EmbeddedPostgres(data_dir).start()


def test_a_data_directory_that_is_a_file_is_refused(data_dir: Path):
    (data_dir / "file").write_text("")
    with pytest.raises(DatabaseUnavailableError, match="KURSWERK_DATA_DIR"):
        EmbeddedPostgres(data_dir / "file").start()


def test_a_cluster_of_an_unknown_version_is_refused(stopped: EmbeddedPostgres, data_dir: Path):
    server = stopped
    version = data_dir / "postgres" / "PG_VERSION"
    version.write_text("12\n")
    with pytest.raises(DatabaseUnavailableError, match="made by PostgreSQL 12"):
        server.start()
    version.write_text("18\n")


def python_for(user: pwd.struct_passwd) -> str | None:
    """Return a Python that an ordinary user may run and that has what we have, None if there is none."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for program in filter(None, (sys.executable, shutil.which(version, path="/usr/local/bin:/usr/bin"))):
        with contextlib.suppress(OSError):
            answer = subprocess.run(
                [program, "-c", "import psycopg, kurswerk"],
                env={"PYTHONPATH": os.pathsep.join(sys.path)},
                user=user.pw_uid,
                group=user.pw_gid,
                extra_groups=[],
                cwd="/",
                capture_output=True,
                check=False,
            )
            if answer.returncode == 0:
                return program
    return None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as somebody else")
def test_it_runs_for_an_ordinary_user_too(data_dir: Path):
    somebody = pwd.getpwnam("nobody")
    home = data_dir / "home"
    home.mkdir()
    os.chown(home, somebody.pw_uid, somebody.pw_gid)
    data_dir.chmod(0o755)
    program = python_for(somebody)
    if program is None:
        pytest.skip("ordinary users may not enter the folder of this Python")
    answer = subprocess.run(
        [program, "-c", START, str(home)],
        user=somebody.pw_uid,
        group=somebody.pw_gid,
        extra_groups=[],
        cwd="/",
        env={"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert (home / "postgres").stat().st_uid == somebody.pw_uid
    assert EmbeddedPostgres(home).stop()  # root stops what somebody started


def test_an_ordinary_user_does_not_touch_a_cluster_of_somebody_else(data_dir: Path, monkeypatch: pytest.MonkeyPatch):
    cluster = data_dir / "postgres"
    cluster.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: cluster.stat().st_uid + 4711)
    with pytest.raises(DatabaseUnavailableError, match="belongs to user"):
        binaries.ServerUser.choose(cluster)
