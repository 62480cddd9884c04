import subprocess
import sys

import pytest

import kurswerk.storage as storage


def test_every_public_name_is_there():
    assert [name for name in storage.__all__ if not hasattr(storage, name)] == []
    assert set(storage.__all__) == set(storage._HOME)


def test_other_names_are_not():
    with pytest.raises(AttributeError, match="no attribute 'Postgres'"):
        _ = storage.Postgres


def test_looking_at_the_server_waits_for_no_heavy_library():
    code = (
        "import sys; from kurswerk.storage import Database, EmbeddedPostgres, upgrade;"
        "print([name for name in ('numba', 'pyarrow', 'alembic', 'sqlalchemy', 'pandas') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
