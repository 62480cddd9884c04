"""A wheel holds the catalogues, compiled."""

import subprocess
import sys
import zipfile
from gettext import GNUTranslations
from pathlib import Path

import pytest

import kurswerk

ROOT = Path(kurswerk.__file__).parents[2]


@pytest.mark.slow
def test_catalogues_are_compiled_into_the_wheel(tmp_path: Path):
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        assert not [name for name in wheel.namelist() if name.endswith(".po")]
        with wheel.open("kurswerk/locale/de/LC_MESSAGES/messages.mo") as file:
            assert GNUTranslations(file).gettext("file.missing") == "{path} gibt es nicht"
        with wheel.open("kurswerk/locale/de/LC_MESSAGES/dashboard.mo") as file:
            assert GNUTranslations(file).gettext("Jobs") == "Aufträge"
