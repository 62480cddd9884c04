"""What users observe, compared with what was recorded; README.md explains how to record and change it on purpose."""

import subprocess
import sys
from pathlib import Path

import pytest

from goldens import BARS, differences, judge, read_golden, read_intended, record_schema, write_golden

ROOT = Path(__file__).resolve().parents[2]
INTENDED = read_intended(Path(__file__).parent / "intended_differences.toml")
# Digests of bits, which have nothing to compare where they come out differently.
BITS = {"artifacts", "bars"}


def recorded(recorder, folder, database):
    """Record in a process of its own."""
    tool = ROOT / "tools" / "record_goldens.py"
    command = [sys.executable, tool, recorder, "--data", folder, "--database", database.url]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr[-3000:]


def unexplained(name, folder):
    golden = read_golden(name)
    if name in BITS and not golden.exact:
        pytest.skip(f"'{name}' was recorded with other library versions or on another instruction set")
    found = list(differences(golden.document, read_golden(name, folder).document, numbers=golden.exact))
    return judge(name, found, INTENDED)


def hold(folder, *names):
    judgements = {name: unexplained(name, folder) for name in names}
    wrong = {name: found for name, found in judgements.items() if found.unexplained or found.stale}
    report = "\n".join(f"{name}:\n{found}" for name, found in wrong.items())
    assert not wrong, f"differs from what was recorded; if it is meant, see tests/golden/README.md\n{report}"


def test_schema(tmp_path, database):
    write_golden("schema", record_schema(database.url), portable=True, folder=tmp_path)
    hold(tmp_path, "schema")


def test_commands_feature_hashes_and_artifacts(tmp_path, database):
    recorded("command_line", tmp_path, database)
    hold(tmp_path, "command_line", "features", "artifacts")


def test_rest_openapi_and_predictions_of_a_recorded_stream(tmp_path, database):
    recorded("service", tmp_path, database)
    hold(tmp_path, "rest", "openapi", "predictions")


@pytest.mark.slow
@pytest.mark.skipif(not BARS.exists(), reason="../shared/data has no real 5-minute bars")
def test_artifacts_of_real_bars(tmp_path, database):
    recorded("bars", tmp_path, database)
    hold(tmp_path, "bars")


def test_the_list_names_goldens_that_there_are_and_the_reasons():
    known = {path.stem for path in (Path(__file__).parent / "data").glob("*.json")}
    assert {entry.golden for entry in INTENDED} <= known
    assert [entry.path for entry in INTENDED if len(entry.why) < 10] == []
