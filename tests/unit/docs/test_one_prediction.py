"""The tool that measures one prediction's way: how it reads a log and writes its page, and whose making the page is."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import one_prediction
from one_prediction import Measured, Seen

ROOT = Path(__file__).resolve().parents[3]
LOG = """
kurswerk predictor|LOG:  duration: 0.100 ms  statement: BEGIN
kurswerk predictor|LOG:  duration: 0.900 ms  statement: COPY (WITH due AS (SELECT FROM coin_feed)) TO STDOUT
kurswerk predictor|LOG:  duration: 0.050 ms  statement: COMMIT
kurswerk predictor|LOG:  duration: 0.200 ms  parse <unnamed>: COPY (SELECT FROM coin_feed f) TO STDOUT
kurswerk predictor|LOG:  duration: 0.700 ms  execute <unnamed>: COPY (SELECT FROM coin_feed f) TO STDOUT
kurswerk stream|LOG:  duration: 9.000 ms  execute <unnamed>: SELECT FROM coin_feed
kurswerk predictor|LOG:  duration: 0.400 ms  statement: COPY predictions (id) FROM STDIN (FORMAT binary)
kurswerk predictor|LOG:  duration: 0.500 ms  statement: COMMIT
"""


def test_statements_are_added_up_by_transaction_that_stored_something():
    found = one_prediction.statement_times(LOG)
    assert found["take the row and its values from the feed"] == [pytest.approx(0.9)]
    assert found["store the predictions (COPY)"] == [0.4]
    assert found["commit"] == [0.5]
    assert found["store the alert"] == [0.0]


def test_the_page_counts_from_the_commit():
    rows = [
        Seen(10.0, 10.002 + k, fed=10.003 + k, begun=10.004 + k, stored=10.012 + k, messages=[10.013 + k, 10.014 + k],
             webhook=10.022 + k, features_s=0.0003, models_s=0.002)
        for k in range(5)
    ]  # fmt: skip
    text = one_prediction.page(Measured(rows, one_prediction.statement_times(LOG), 10, 74, 10, 0.5))
    assert "| the webhook is received | 20.00 | 20.00 | 20.00 |" in text
    assert "| the last of ten is received | 12.00 | 12.00 | 12.00 |" in text
    assert "| compute 74 features | 0.30 | 0.30 |" in text
    assert "| commit | 0.50 | 0.50 |" in text
    assert "Load average of the machine when it began: 0.5." in text


def test_the_page_in_the_documentation_has_every_step():
    def shape(text: str) -> list[str]:
        return re.sub(r"-?\d[\d.]*", "0", text).splitlines()

    rows = [Seen(0.0, 0.0, fed=0.0, begun=0.0, stored=0.0, messages=[0.0], webhook=0.0)]
    made = one_prediction.page(Measured(rows, one_prediction.statement_times(LOG), 10, 74, 10, 0.5))
    assert shape((ROOT / "docs" / "one-prediction.md").read_text(encoding="utf-8")) == shape(made)


@pytest.mark.slow
def test_it_measures_a_real_service(tmp_path):
    page = tmp_path / "page.md"
    words = [sys.executable, "-m", "tools.one_prediction", "--rows", "3", "--output", str(page)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    shown = ROOT / "docs" / "one-prediction.md"
    steps = [re.findall(r"^\| ([^|]+) \| -?\d", one.read_text(encoding="utf-8"), re.MULTILINE) for one in (page, shown)]
    assert steps[0] == steps[1]
    assert len(steps[0]) == 17
