"""The whole way on real 5-minute bars: ingested, trained, tested later, certified, reproduced."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

BARS = Path(__file__).resolve().parents[3] / "shared" / "data" / "crypto_5m_16_pairs_2024.parquet"
# Of 16: two memes, one of them listed in March, a thin one and a new listing.
SOME = ("BONK/USDT", "OG/USDT", "WIF/USDT", "ENA/USDT")
SPEC = Path(__file__).resolve().parents[2] / "docs" / "examples" / "up-2-percent-in-an-hour.json"

pytestmark = pytest.mark.skipif(not BARS.exists(), reason=f"the real bars are not at {BARS}")


@pytest.fixture
def kurswerk(tmp_path, embedded_data_dir):
    """Run the command with ``--json`` on a database of this test's own and return the document."""
    environment = os.environ | {"KURSWERK_DATA_DIR": tempfile.mkdtemp(dir=embedded_data_dir)}

    def run(*words: str):
        done = subprocess.run(
            [sys.executable, "-m", "kurswerk", *words, "--json"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        assert done.returncode == 0, f"{words}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return json.loads(done.stdout)

    yield run
    subprocess.run([sys.executable, "-m", "kurswerk", "db", "stop"], env=environment, check=True, capture_output=True)


@pytest.mark.parametrize(
    ("pairs", "trees", "compared"),
    [(SOME, 30, 240_000), pytest.param(None, 100, 1_000_000, marks=pytest.mark.slow)],
    ids=["some", "all"],
)
def test_real_bars_make_a_certified_model_that_beats_volatility(kurswerk, tmp_path, pairs, trees, compared):
    bars = pq.read_table(BARS)
    if pairs:
        bars = bars.filter(pc.field("symbol").isin(pairs))
    pq.write_table(bars, tmp_path / "bars.parquet")
    ingested = kurswerk("ingest", "coins", "bars.parquet")
    assert ingested["rows_read"] == ingested["accepted"] == ingested["inserted"] == len(bars)
    assert ingested["quarantined"] == 0
    guided = json.loads(SPEC.read_text())
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps(guided | {"params": guided["params"] | {"n_estimators": trees}}))
    trained = kurswerk("train", str(spec))
    name, certificate = trained["name"], trained["certificate"]
    assert certificate["certified"]
    assert certificate["differing_bits"] == certificate["leaks_found"] == 0
    assert certificate["values_compared"] > compared

    tested = kurswerk("test", name, "--start", "2024-07-01", "--end", "2024-09-07")
    evaluation = tested["evaluation"]
    assert not tested["has_overlap"]
    assert tested["num_samples"] > 0.314 * len(bars)
    assert evaluation["beats"]["volatility"], evaluation["differences"]["volatility"]["pr_auc"]

    assert kurswerk("models", name, "--reproduce")["reproduced"]

    again = kurswerk("ingest", "coins", "bars.parquet")
    assert (again["inserted"], again["updated"], again["unchanged"]) == (0, 0, len(bars))
