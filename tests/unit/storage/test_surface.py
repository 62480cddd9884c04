import importlib
import pkgutil
import subprocess
import sys

import pytest

import kurswerk.storage as storage

SUB_PACKAGES = [module.name for module in pkgutil.iter_modules(storage.__path__)]


@pytest.mark.parametrize("name", SUB_PACKAGES)
def test_every_public_name_is_there(name):
    surface = importlib.import_module(f"kurswerk.storage.{name}")
    assert [one for one in surface.__all__ if not hasattr(surface, one)] == []


def test_every_module_lies_in_a_sub_package():
    assert all(module.ispkg for module in pkgutil.iter_modules(storage.__path__))


def test_the_server_is_reached_without_heavy_libraries():
    code = (
        "import sys; from kurswerk.storage.server import Database, EmbeddedPostgres, upgrade;"
        "print([name for name in ('numba', 'pyarrow', 'alembic', 'sqlalchemy', 'pandas') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
