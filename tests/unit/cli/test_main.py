"""What a command prints when the system refuses something."""

import errno
import json

import pytest

from kurswerk.cli import _main


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/etc/shadow"), "kurswerk: Permission denied: /etc/shadow"),
        (OSError(errno.EINVAL, "Invalid argument"), "kurswerk: Invalid argument: in _main.py, line"),
    ],
)
def test_an_error_of_the_system_names_the_file_or_the_place(monkeypatch, capsys, error: OSError, message: str):
    def refuse(**_: object) -> None:
        raise error

    monkeypatch.setattr(_main.kurswerk, "main", refuse)
    with pytest.raises(SystemExit) as end:
        _main.main(["db", "--json"])
    assert end.value.code == 1
    shown = capsys.readouterr()
    assert shown.err.startswith(message)
    assert f"kurswerk: {json.loads(shown.out)['error']['message']}" == shown.err.strip()
