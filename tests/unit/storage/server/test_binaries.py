"""Which programs are run, as whom, and what happens where there are none."""

import importlib.util
import os
import pwd
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from kurswerk.core.errors import DatabaseUnavailableError
from kurswerk.storage.server import _binaries as binaries

SELF = binaries.ServerUser(os.geteuid(), os.getegid(), "self", switch=False)


@pytest.fixture
def fresh_folders() -> Iterator[None]:
    binaries.installed_programs.cache_clear()
    yield
    binaries.installed_programs.cache_clear()


def nobody_known(name: str) -> pwd.struct_passwd:
    raise KeyError(name)


def test_without_the_wheel_there_is_a_way_out(fresh_folders: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DatabaseUnavailableError, match="KURSWERK_DATABASE_URL"):
        binaries.folder_for(tmp_path)


def test_programs_that_do_not_run_here_do_not_count(
    fresh_folders: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    program = tmp_path / "pginstall99" / "bin" / "postgres"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    found = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found)
    with pytest.raises(DatabaseUnavailableError, match="not installed for this system"):
        binaries.folder_for(tmp_path)
    program.write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 99.1'\n")
    assert binaries.folder_for(tmp_path) == program.parent


def test_a_new_cluster_gets_the_newest_version(tmp_path: Path):
    newest = binaries.folder_for(tmp_path)
    assert newest.parent.name == "pginstall18"
    (tmp_path / "PG_VERSION").write_text("16\n")
    assert binaries.folder_for(tmp_path).parent.name == "pginstall"


def test_an_ordinary_user_stays_himself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    user = binaries.ServerUser.choose(tmp_path / "absent")
    assert (user.uid, user.name, user.switch) == (4711, "4711", False)
    before = tmp_path.stat()
    user.own(tmp_path)
    user.may_reach(tmp_path)
    assert tmp_path.stat() == before


def test_root_acts_as_an_account_without_rights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    user = binaries.ServerUser.choose(tmp_path / "absent")
    assert user.switch
    assert user.uid != 0
    monkeypatch.setattr(pwd, "getpwnam", nobody_known)
    with pytest.raises(DatabaseUnavailableError, match="useradd"):
        binaries.ServerUser.choose(tmp_path / "absent")


def test_only_the_right_to_pass_is_added(tmp_path: Path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    before = tmp_path.stat().st_mode
    user = binaries.ServerUser(os.geteuid(), os.getegid(), "self", switch=True)
    user.may_reach(closed / "program")
    assert closed.stat().st_mode & 0o777 == 0o701
    assert tmp_path.stat().st_mode & ~0o001 == before & ~0o001


def test_what_a_program_prints_is_in_the_message():
    code = "print('out of luck'); raise SystemExit(3)"
    with pytest.raises(DatabaseUnavailableError, match="luck hunting failed: out of luck"):
        binaries.run(Path(sys.executable), ["-c", code], SELF, what="luck hunting")
    with pytest.raises(DatabaseUnavailableError, match="no reason given"):
        binaries.run(Path(sys.executable), ["-c", "raise SystemExit(3)"], SELF, what="it")


def test_the_end_of_a_log(tmp_path: Path):
    log = tmp_path / "log"
    assert binaries.tail(None) == binaries.tail(log) == ""
    log.write_text("\n".join(map(str, range(20))))
    assert binaries.tail(log, 2) == "18\n19"
