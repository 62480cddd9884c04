"""Backups of a database and of the files that belong to it: made, verified, restored, kept and scheduled."""

from kurswerk.storage.backup._create import BackupOptions, BackupSummary, create_backup, prune
from kurswerk.storage.backup._keep import KeepRule
from kurswerk.storage.backup._manifest import Header
from kurswerk.storage.backup._reading import OpenBackup, Verified, open_backup
from kurswerk.storage.backup._restore import RestoreSummary, restore_backup, restore_into_scratch
from kurswerk.storage.backup._schedule import (
    BackupRun,
    BackupState,
    PostgresBackupStates,
    Schedule,
    parse_interval,
)
from kurswerk.storage.backup._store import BackupStore, begun_at

__all__ = [
    "BackupOptions",
    "BackupRun",
    "BackupState",
    "BackupStore",
    "BackupSummary",
    "Header",
    "KeepRule",
    "OpenBackup",
    "PostgresBackupStates",
    "RestoreSummary",
    "Schedule",
    "Verified",
    "begun_at",
    "create_backup",
    "open_backup",
    "parse_interval",
    "prune",
    "restore_backup",
    "restore_into_scratch",
]
