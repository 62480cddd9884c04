"""The page on the library: its examples, run in order as a reader would."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kurswerk.bootstrap.feature_files import load_feature_files
from kurswerk.core.errors import DataFileError, SpecError
from kurswerk.features import _names
from memory_market import random_market

PAGE = Path(__file__).resolve().parents[3] / "docs" / "library.md"
FINE = '''
from kurswerk.features.expressions import feature, open_


@feature(unit="price", source="test")
def opened():
    """The open."""
    return open_
'''
BLOCK = re.compile(r"```python(?: title=\"(\S+)\")?\n(.*?)```", re.DOTALL)


@pytest.fixture
def _own_features_are_forgotten():
    yield
    _names.OWN_KINDS.clear()
    _names.forget_resolved()


@pytest.mark.usefixtures("_own_features_are_forgotten")
def test_every_example_of_the_page_runs(tmp_path, monkeypatch, capsys, database):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KURSWERK_DATABASE_URL", database.url)
    panel = random_market(coins=3)
    columns = {name.removeprefix("price_").removesuffix("_sol"): panel.column(name) for name in panel.columns}
    times = pd.to_datetime(panel.timestamps, unit="us", utc=True)
    pd.DataFrame({"symbol": np.asarray(panel.instruments)[panel.codes], "date": times, **columns}).to_csv("bars.csv")
    names = {}
    for title, code in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if title:
            Path(title).write_text(code, encoding="utf-8")
            load_feature_files([Path(title)])
        else:
            exec(compile(code, str(PAGE), "exec"), names)
    printed = capsys.readouterr().out
    assert "<1,800 rows of 3 instruments of market 'candles'>" in printed
    assert "quiet_rise_10" in printed
    assert names["model"].certificate["certified"] is True
    assert names["again"].record == names["model"].record
    assert list(names["store"].models().columns) == [
        "id",
        "name",
        "model_type",
        "market",
        "status",
        "is_active",
        "created_at",
    ]


@pytest.mark.usefixtures("_own_features_are_forgotten")
def test_a_file_of_features_that_fails_is_named_with_its_line(tmp_path):
    path = tmp_path / "features.py"
    path.write_text("from kurswerk.features.expressions import close\n\nclose.lag(-1)\n")
    with pytest.raises(DataFileError, match=r"features.py, line 3: .*later row"):
        load_feature_files([path])
    path.write_text("def wrong(:\n")
    with pytest.raises(DataFileError, match="line 1"):
        load_feature_files([path])
    fine = path.read_text().replace("def wrong(:\n", FINE)
    path.write_text(fine)
    (tmp_path / "again.py").write_text(fine)
    load_feature_files([path])
    load_feature_files([path])
    with pytest.raises(SpecError, match="'opened' already"):
        load_feature_files([path, tmp_path / "again.py"])
    with pytest.raises(DataFileError, match=r"absent.py, line 0"):
        load_feature_files([tmp_path / "absent.py"])
