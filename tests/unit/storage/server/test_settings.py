import pytest

from kurswerk.storage.server import _settings as settings


@pytest.mark.parametrize(
    ("folder", "line"),
    [
        ("/plain", "unix_socket_directories = '\"/plain\"'"),
        ("/with 'quotes' and \"more\"", "unix_socket_directories = '\"/with ''quotes'' and \"\"more\"\"\"'"),
    ],
)
def test_the_folder_of_the_socket_is_quoted(folder: str, line: str):
    assert line in settings.settings_text(folder).splitlines()


def test_committed_means_committed():
    assert "synchronous_commit = on" in settings.settings_text("/x")
    assert "fsync" not in settings.settings_text("/x")
