"""The tree of errors."""

import inspect

import pytest

from kurswerk.core import errors
from kurswerk.core.errors import ConstraintError, KurswerkError, UnknownNameError

TREE = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, Exception)]


@pytest.mark.parametrize("cls", TREE)
def test_every_error_hangs_in_the_drawn_tree(cls):
    assert issubclass(cls, KurswerkError)
    assert cls.__name__ in (errors.__doc__ or "")
    assert cls.__doc__


def test_unknown_name_lists_some_when_none_is_near():
    many = [f"name_{i:02}" for i in range(20)]
    assert str(UnknownNameError("column.unknown", name="xyz", known=many)).endswith("name_11, …")
    assert str(UnknownNameError("column.unknown", name="xyz", known=["a"])) == "unknown column 'xyz'; known: a"
    assert str(UnknownNameError("column.unknown", name="xyz", known=[])) == "unknown column 'xyz'; none are known"


def test_constraint_is_kept():
    assert ConstraintError("database.row_refused", reason="no", constraint="ck_x").constraint == "ck_x"
