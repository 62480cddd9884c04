import adbc_driver_manager
import psycopg
import pytest

from kurswerk.core.errors import ConstraintError, DatabaseUnavailableError, InvalidInputError, StorageError
from kurswerk.storage.server import _errors as errors

URL = "postgresql://me:s3cret@host:5433/db"


@pytest.mark.parametrize("url", ["", "nonsense", "postgresql://host:s3cret%zz/", "mysql://a/b"])
def test_a_url_that_is_none_is_refused_without_repeating_it(url: str):
    with pytest.raises(InvalidInputError) as caught:
        errors.plain_url(url)
    assert "write it like postgresql://" in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        (URL, "database db on host:5433 as me"),
        ("postgresql://h/", "database (default) on h"),
        ("dbname=x", "database x on the default host"),
        ("postgresql://me@/?host=%2Ftmp", "database me on /tmp as me"),
    ],
)
def test_descriptions(url: str, text: str):
    assert errors.describe_url(url) == text


@pytest.mark.parametrize("state", [None, "08006", "28P01", "3D000", "53300", "57P01"])
def test_what_means_that_there_is_no_connection(state: str | None):
    error = psycopg.OperationalError("refused for password s3cret\n  twice")
    error.sqlstate = state
    ours = errors.translated(error, URL)
    assert isinstance(ours, DatabaseUnavailableError)
    assert "refused for password *** twice" in str(ours)


def test_a_server_that_is_there_but_out_of_disk_is_not_unreachable():
    assert type(errors.translated(psycopg.errors.QueryCanceled("cancelled"), URL)) is StorageError


def test_constraints_keep_their_name_or_have_none():
    ours = errors.translated(psycopg.errors.CheckViolation("bad"), URL)
    assert isinstance(ours, ConstraintError)
    assert ours.constraint == ""


def test_adbc_errors_are_read_too():
    status = adbc_driver_manager.AdbcStatusCode.INVALID_DATA
    gone = adbc_driver_manager.OperationalError("lost", status_code=status, sqlstate="08006")
    assert isinstance(errors.translated(gone, URL), DatabaseUnavailableError)
    wrong = adbc_driver_manager.ProgrammingError("no such column", status_code=status, sqlstate="42703")
    assert type(errors.translated(wrong, URL)) is StorageError
