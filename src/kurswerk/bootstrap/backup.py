"""Backups of the database and the data folder that the settings name."""

import os
import threading
from datetime import UTC, datetime
from pathlib import Path

from kurswerk.bootstrap.database import database_source
from kurswerk.bootstrap.settings import CONFIG_FILE, Settings
from kurswerk.core.errors import ConflictError, InvalidInputError, KurswerkError
from kurswerk.jobs import Progress, no_progress
from kurswerk.observability import get_logger
from kurswerk.storage.backup import (
    BackupOptions,
    BackupState,
    BackupStore,
    BackupSummary,
    Header,
    KeepRule,
    OpenBackup,
    PostgresBackupStates,
    RestoreSummary,
    Schedule,
    Verified,
    create_backup,
    open_backup,
    parse_interval,
    restore_backup,
    restore_into_scratch,
)
from kurswerk.storage.server import Database, UrlSource, upgrade

__all__ = [
    "BackupService",
    "BackupState",
    "BackupSummary",
    "Header",
    "KeepRule",
    "RestoreSummary",
    "Schedule",
    "Verified",
    "make_backups_when_due",
    "parse_interval",
]

log = get_logger(__name__)
_LOOK_S = 15.0


class BackupService:
    """Makes, lists, verifies and restores backups.

    Parameters
    ----------
    store
        Instead of that of the settings.
    key_file
        Holds the key, instead of that of the settings.
    """

    def __init__(self, settings: Settings, *, store: str | None = None, key_file: Path | None = None) -> None:
        self._settings = settings
        self._store = store or settings.backup.store
        self._key_file = key_file

    @property
    def store(self) -> str:
        """Where backups lie.

        Raises
        ------
        InvalidInputError
            If nothing names a store.
        """
        if not self._store:
            raise InvalidInputError("backup.no_store")
        return self._store

    def create(self, keep: KeepRule, *, progress: Progress = no_progress) -> BackupSummary:
        """Make a backup, as `kurswerk.storage.backup.create_backup` describes it, and note how it went."""
        backup, store, started = self._settings.backup, self.store, datetime.now(UTC)
        database = self._database()
        upgrade(database)
        states = PostgresBackupStates(database)
        try:
            options = BackupOptions(secret=self._secret(), level=backup.level, parallel=backup.parallel, keep=keep)
            done = create_backup(
                database,
                BackupStore(store),
                self._settings.data_dir,
                options,
                settings_file=_settings_file(),
                progress=progress,
            )
        except ConflictError:  # another one is under way, which will note its own outcome
            raise
        except KurswerkError as error:
            states.note(started, store, error.message)
            raise
        states.note(started, store, done.header)
        return done

    def state(self) -> BackupState:
        """Return the schedule and how the last backups went."""
        return self._states().read()

    def schedule(self, *, every_minutes: int | None, cron: str | None, keep: KeepRule) -> BackupState:
        """Let the service make backups from now on; return the new state.

        Raises
        ------
        InvalidInputError
            If there is neither interval nor cron expression, or both, or it is none.
        """
        states = self._states()
        states.set_schedule(Schedule(self.store, every_minutes, cron, keep, datetime.now(UTC)))
        return states.read()

    def end_schedule(self) -> BackupState:
        """Let the service make no more backups by itself; return the new state."""
        states = self._states()
        states.set_schedule(None)
        return states.read()

    def _states(self) -> PostgresBackupStates:
        database = self._database()
        upgrade(database)
        return PostgresBackupStates(database)

    def complete(self) -> list[Header]:
        """Return what is known of all complete backups, oldest first."""
        return BackupStore(self.store).complete()

    def verify(self, *, progress: Progress = no_progress) -> Verified:
        """Read all of a backup and compare it with its manifest."""
        return self._open().verify(parallel=self._settings.backup.parallel, progress=progress)

    def restore_into_scratch(self, *, progress: Progress = no_progress) -> int:
        """Restore a backup into a database that is dropped afterwards; return its rows."""
        return restore_into_scratch(
            self._open(), self._database(), parallel=self._settings.backup.parallel, progress=progress
        )

    def restore(self, *, replace: str | None, progress: Progress = no_progress) -> RestoreSummary:
        """Restore a backup; `kurswerk.storage.backup.restore_backup` describes it."""
        backup = self._open()
        return restore_backup(
            backup,
            self._database(),
            self._settings.data_dir,
            replace=replace,
            parallel=self._settings.backup.parallel,
            progress=progress,
        )

    def _open(self) -> OpenBackup:
        return open_backup(self.store, self._secret())

    def _database(self) -> Database:
        return Database(database_source(self._settings))

    def _secret(self) -> str | None:
        """Return the key; read anew each time, so that a file that was replaced takes effect.

        Raises
        ------
        InvalidInputError
            If the file cannot be read.
        """
        backup = self._settings.backup
        path = self._key_file or (Path(backup.key_file) if backup.key_file else None)
        if path is None:
            return backup.key.get_secret_value() if backup.key else None
        try:
            return path.expanduser().read_text(encoding="utf-8").strip()
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InvalidInputError("backup.key_file_unreadable", path=path, reason=reason) from error


def _settings_file() -> Path | None:
    """Return the settings file in force, None where there is none."""
    path = Path(os.environ.get("KURSWERK_CONFIG") or Path.cwd() / CONFIG_FILE)
    return path if path.is_file() else None


def make_backups_when_due(settings: Settings, source: UrlSource, stop: threading.Event) -> None:
    """Make each backup that the schedule asks for, until ``stop`` is set.

    Of several services with a worker one makes it. A backup that fails is tried again after five minutes; one that was
    killed, at once.
    """
    states = PostgresBackupStates(Database(source))
    while not stop.is_set():
        try:
            state = states.read()
            if state.schedule is not None and state.is_due(datetime.now(UTC)):
                log.info("scheduled backup begins", store=state.schedule.store)
                done = BackupService(settings, store=state.schedule.store).create(state.schedule.keep)
                log.info("scheduled backup done", name=done.header.name, seconds=done.header.seconds)
        except ConflictError:
            log.info("another process makes the scheduled backup")
        except KurswerkError as error:
            log.warning("scheduled backup failed", reason=str(error))
        stop.wait(_LOOK_S)
