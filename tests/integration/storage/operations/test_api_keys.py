"""API keys in the database."""

import hashlib

import pytest

from integration.storage.coins import run
from kurswerk.core.errors import InvalidInputError, NotFoundError, UnknownNameError
from kurswerk.storage.operations import SCOPES, PostgresKeyStore


@pytest.fixture
def keys(database):
    return PostgresKeyStore(database)


def test_a_key_is_shown_once_and_found_by_itself_alone(keys, database):
    record, key = keys.create("n8n", ["train", "read", "read"])
    assert key.startswith(record.prefix)
    assert (record.name, record.scopes, record.revoked_at, record.last_used_at) == (
        "n8n",
        ("read", "train"),
        None,
        None,
    )
    assert keys.find(key).id == record.id
    for wrong in (
        "",
        "kw_",
        key[:-1],
        key + "x",
        key.upper(),
        key.removeprefix("kw_"),
        "kw_" + "a" * 10_000,
        record.prefix,
    ):
        assert keys.find(wrong) is None


def test_the_database_holds_no_key(keys, database):
    _, key = keys.create("n8n", ["read"])
    row = str(run(database, "SELECT * FROM api_keys"))
    assert key not in row
    assert hashlib.sha256(key.encode()).hexdigest() in row


def test_keys_differ(keys):
    assert len({keys.create("same", ["read"])[1] for _ in range(20)}) == 20


def test_use_is_noted_to_the_minute(keys, database):
    _, key = keys.create("n8n", ["read"])
    keys.find(key)
    first = keys.all()[0].last_used_at
    assert first is not None
    keys.find(key)
    assert keys.all()[0].last_used_at == first
    run(database, "UPDATE api_keys SET last_used_at = now() - interval '2 minutes'")
    keys.find(key)
    assert keys.all()[0].last_used_at > first


def test_a_revoked_key_is_unknown(keys):
    record, key = keys.create("n8n", ["admin"])
    assert keys.any_usable()
    assert keys.revoke("n8n").revoked_at is not None
    assert keys.find(key) is None
    assert not keys.any_usable()
    assert [kept.id for kept in keys.all()] == [record.id]
    with pytest.raises(NotFoundError, match="n8n"):
        keys.revoke("n8n")


def test_a_key_is_revoked_by_id_name_or_prefix(keys):
    first, second = keys.create("one", ["read"])[0], keys.create("two", ["read"])[0]
    assert keys.revoke(first.id).id == first.id
    assert keys.revoke(second.prefix).id == second.id
    for _ in range(2):
        keys.create("twin", ["read"])
    with pytest.raises(InvalidInputError, match="2 keys answer to 'twin'"):
        keys.revoke("twin")
    with pytest.raises(NotFoundError, match="did you mean 'twin'"):
        keys.revoke("twim")


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "a\0b"])
def test_a_key_needs_a_name(keys, name):
    with pytest.raises(InvalidInputError, match="name"):
        keys.create(name, ["read"])


def test_a_key_needs_scopes_that_exist(keys):
    with pytest.raises(InvalidInputError, match="at least one scope"):
        keys.create("n8n", [])
    with pytest.raises(UnknownNameError, match="did you mean 'train'"):
        keys.create("n8n", ["trian"])


@pytest.mark.parametrize("given", SCOPES)
def test_a_scope_includes_the_ones_before_it(keys, given):
    record, _ = keys.create("n8n", [given])
    assert [record.allows(scope) for scope in SCOPES] == [SCOPES.index(given) >= i for i in range(3)]


GIVEN, OTHER = ("kw_" + letter * 40 for letter in "ab")


def test_a_given_key_is_there_once_however_often_it_is_given(keys):
    kept = [keys.keep("n8n", ["train"], GIVEN) for _ in range(3)]
    assert len({record.id for record in kept}) == 1
    assert keys.find(GIVEN).scopes == ("train",)
    assert keys.keep("n8n", ["read"], GIVEN).scopes == ("read",)
    assert len(keys.all()) == 1


def test_a_new_value_takes_the_place_of_others_of_its_name_alone(keys):
    _, made = keys.create("n8n", ["read"])
    _, elsewhere = keys.create("dashboard", ["read"])
    keys.keep("n8n", ["train"], GIVEN)
    assert keys.find(made) is None
    keys.keep("n8n", ["train"], OTHER)
    assert (keys.find(GIVEN), keys.find(OTHER).name, keys.find(elsewhere).name) == (None, "n8n", "dashboard")


def test_a_given_key_that_was_revoked_stays_so(keys):
    record = keys.keep("n8n", ["train"], GIVEN)
    keys.revoke(record.id)
    assert keys.keep("n8n", ["train"], GIVEN).revoked_at is not None
    assert keys.find(GIVEN) is None


@pytest.mark.parametrize("key", ["", "secret", "kw_short", GIVEN[3:], GIVEN + " ", "kw_" + "ü" * 40, "kw_" + "a" * 198])
def test_a_given_key_must_be_safe(keys, key):
    with pytest.raises(InvalidInputError, match="openssl rand -hex 32"):
        keys.keep("n8n", ["train"], key)
    assert keys.all() == []


def test_a_given_key_needs_a_scope_that_there_is(keys):
    with pytest.raises(UnknownNameError, match="did you mean 'train'"):
        keys.keep("n8n", ["trian"], GIVEN)


def test_a_key_that_is_replaced_is_accepted_beside_its_successor_for_a_while(keys, database):
    record, old = keys.create("n8n", ["train"])
    made, new, replaced = keys.rotate("n8n", 3600)
    assert (made.name, made.scopes, replaced.id) == ("n8n", ("train",), record.id)
    assert [keys.find(key).id for key in (old, new)] == [record.id, made.id]
    with pytest.raises(InvalidInputError, match="2 keys answer to 'n8n'"):
        keys.rotate("n8n", 3600)
    with database.connection() as connection:
        connection.execute("UPDATE api_keys SET revoked_at = now() WHERE id = %s", [record.id])
    assert (keys.find(old), keys.find(new).id) == (None, made.id)
    assert keys.any_usable()


def test_a_key_that_is_replaced_can_be_revoked_at_once(keys):
    _, old = keys.create("n8n", ["read"])
    _, new, replaced = keys.rotate("n8n", 3600)
    assert keys.revoke(replaced.id).revoked_at < replaced.revoked_at
    assert keys.find(old) is None
    assert keys.rotate("n8n", 0)[2].revoked_at is not None
    assert keys.find(new) is None
