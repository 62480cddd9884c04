"""The table of trading sessions in the package is what its tool would write today."""

import pytest

import session_table


@pytest.mark.slow
def test_the_table_is_up_to_date(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["session_table.py", "--check"])
    assert session_table.main() == 0, capsys.readouterr().out
