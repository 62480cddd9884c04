"""To whom the API answers."""

import pytest

from kurswerk.bootstrap.api_part import options_for
from kurswerk.bootstrap.setting_groups import HttpSettings
from kurswerk.core.errors import ConflictError


def test_this_machine_alone_needs_no_keys_but_its_own_name():
    options = options_for(HttpSettings(), insecure=False)
    assert not options.require_keys
    assert options.allowed_hosts == ("localhost", "127.0.0.1", "[::1]")
    assert options.limit_storage == "async+memory://"


def test_elsewhere_keys_are_needed():
    http = HttpSettings(host="0.0.0.0", redis_url="redis://cache:6379", read_limit=None)
    options = options_for(http, insecure=False)
    assert options.require_keys
    assert (options.allowed_hosts, options.read_limit) == ((), None)
    assert options.limit_storage == "async+redis://cache:6379"


def test_what_would_be_open_to_strangers_is_refused():
    http = HttpSettings(host="0.0.0.0", require_keys=False)
    with pytest.raises(ConflictError, match="can be reached by others"):
        options_for(http, insecure=False)
    assert not options_for(http, insecure=True).require_keys


def test_keys_are_asked_for_on_loopback_too_where_that_is_wanted():
    options = options_for(HttpSettings(require_keys=True), insecure=False)
    assert (options.require_keys, options.allowed_hosts) == (True, ())
