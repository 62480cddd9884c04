"""Write ``docs/settings.md`` from the settings that the code declares: ``python tools/settings_docs.py``."""

from collections.abc import Iterator
from pathlib import Path

from pydantic.fields import FieldInfo

from env_example import default_text
from kurswerk.bootstrap.setting_groups import (
    SettingGroup,
    choices_of,
    is_secret,
    limits_of,
    older_name_of,
    variable_of,
)
from kurswerk.bootstrap.settings import GROUPS, WITHOUT_EFFECT, Settings, secret_variables

TARGET = Path(__file__).resolve().parents[1] / "docs" / "settings.md"
HEAD = """\
# Settings

<!-- Written by tools/settings_docs.py from the code; a test compares. -->

Every setting is an environment variable; all but `KURSWERK_CONFIG` may also stand in `kurswerk.toml`, in the current
directory or where `KURSWERK_CONFIG` points: `data_dir = "…"` at the top, and `port = 8000` below `[http]` for
`KURSWERK_HTTP_PORT`. The environment wins over the file, that over the defaults. An empty variable counts as not set,
so an `.env` file may list it. A value that cannot be read ends the command with a line that names the variable, the
value and what would be right.

**Secrets** may come from a file instead, as container engines and systemd hand them over: put `_FILE` behind the
variable and give it the path. The end of the file's last line does not count. These are: {secrets}.

## General

| variable | default | meaning |
|---|---|---|
| `KURSWERK_CONFIG` | `kurswerk.toml`, if it is there | the settings file |
{general}
"""
# What the fields of Settings itself mean; those of groups carry it themselves.
GENERAL = {
    "data_dir": (
        "the user's data directory",
        "embedded database, quarantined rows, compiled kernels, files of jobs, counts of metrics",
    ),
    "database_url": (
        "an embedded PostgreSQL below the data directory",
        "a PostgreSQL of yours, version 14 or newer: `postgresql://user:password@host:5432/name`",
    ),
    "stop_database": ("`false`", "whether the embedded database ends with the service, as it has to in a container"),
    "api_keys": (
        "",
        """API keys that the API makes sure of when it starts: `NAME:SCOPE:KEY`, parted by commas or lines. Scopes are \
`read`, `train` and `admin`, each with the ones before it. A key: `echo kw_$(openssl rand -hex 32)`. A new value \
revokes the one before it of the same name; a key that was revoked stays so""",
    ),
    "feature_files": (
        "",
        """Python files with [features of your own](library.md#features-of-your-own), parted by commas; every process \
runs them when it starts""",
    ),
}
OLDER = """\
## What older services set

These names are understood too; where ours is set beside one of them, ours counts.

| variable | the same as |
|---|---|
| `DB_DSN` | `KURSWERK_DATABASE_URL` |
| `DB_HOST`, `DB_PORT`, `DB_NAME`, `DB_USER`, `DB_PASSWORD` | its parts, of which `DB_HOST` is needed |
{same}

These may stay set and change nothing; a service that starts names them in its log.

| variable | why it need not do anything |
|---|---|
{without}
"""


def page() -> str:
    """Return the whole page."""
    secrets = ", ".join(f"`{name}`" for name in sorted(secret_variables()))
    general = "\n".join(f"| `{variable_of(key)}` | {default} | {text} |" for key, (default, text) in GENERAL.items())
    groups = "".join(f"\n## {name}\n\n{group_table(name, kind)}\n" for name, kind in GROUPS.items())
    same = "\n".join(
        f"| `{older}` | `{variable_of(name, key)}` |"
        for name, kind in GROUPS.items()
        for key, field in kind.model_fields.items()
        if (older := older_name_of(field))
    )
    without = "\n".join(f"| `{name}` | {why} |" for name, why in WITHOUT_EFFECT.items())
    assert set(GENERAL) == set(Settings.model_fields) - set(GROUPS), "GENERAL describes every setting without a group"  # noqa: S101
    return HEAD.format(secrets=secrets, general=general) + groups + "\n" + OLDER.format(same=same, without=without)


def group_table(name: str, kind: type[SettingGroup]) -> str:
    """Return what a group is for, and a row for each of its settings."""
    lead = (kind.__doc__ or "").strip().splitlines()[0]
    rows = "\n".join(
        f"| `{variable_of(name, key)}` | {_default(field)} | {_meaning(field)} |"
        for key, field in kind.model_fields.items()
    )
    return f"{lead}\n\n| variable | default | meaning |\n|---|---|---|\n{rows}"


def _default(field: FieldInfo) -> str:
    text = default_text(field.default)
    return f"`{text}`" if text else ""


def _meaning(field: FieldInfo) -> str:
    return "; ".join([str(field.description), *_allowed(field)])


def _allowed(field: FieldInfo) -> Iterator[str]:
    if choices := choices_of(field):
        yield f"one of {', '.join(f'`{choice}`' for choice in choices)}"
    least, most = limits_of(field)
    if least is not None:
        yield f"{least:,} or more" if most is None else f"from {least:,} to {most:,}"
    if is_secret(field.annotation):
        yield "a secret"


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
