"""Where the API listens, and to whom it then answers."""

import socket

import pytest

from kurswerk.bootstrap.api_part import bind, options_for, url_of
from kurswerk.bootstrap.setting_groups import HttpSettings
from kurswerk.core.errors import ConflictError, InvalidInputError


def test_a_free_port_is_taken_and_a_taken_one_refused():
    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        assert url_of(listener) == f"http://127.0.0.1:{port}"
        with pytest.raises(ConflictError, match=rf"cannot listen on 127.0.0.1 port {port}: .*--port"):
            bind("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "shown"), [("0.0.0.0", "127.0.0.1"), ("localhost", "127.0.0.1"), ("::1", "[::1]"), ("::", "[::1]")]
)
def test_every_kind_of_address_can_be_listened_on(host, shown):
    if ":" in host and not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    with bind(host, 0) as listener:
        assert url_of(listener).rpartition(":")[0] in {f"http://{shown}", "http://[::1]"}


def test_a_host_that_is_none_is_refused():
    with pytest.raises(InvalidInputError, match="is no address"):
        bind("no.such.host.invalid", 0)


def test_this_machine_alone_needs_no_keys_but_its_own_name():
    options = options_for(HttpSettings(), insecure=False, usable_keys=False)
    assert not options.require_keys
    assert options.allowed_hosts == ("localhost", "127.0.0.1", "[::1]")
    assert options.limit_storage == "async+memory://"


def test_elsewhere_keys_are_needed():
    http = HttpSettings(host="0.0.0.0", redis_url="redis://cache:6379", read_limit=None)
    options = options_for(http, insecure=False, usable_keys=True)
    assert options.require_keys
    assert (options.allowed_hosts, options.read_limit) == ((), None)
    assert options.limit_storage == "async+redis://cache:6379"


@pytest.mark.parametrize(
    ("http", "keys", "message"),
    [
        (HttpSettings(host="0.0.0.0"), False, "kurswerk keys create"),
        (HttpSettings(host="0.0.0.0", require_keys=False), True, "can be reached by others"),
        (HttpSettings(require_keys=True), False, "there are none"),
    ],
)
def test_what_would_be_open_to_strangers_or_to_nobody_is_refused(http, keys, message):
    with pytest.raises(ConflictError, match=message):
        options_for(http, insecure=False, usable_keys=keys)
    options = options_for(http, insecure=True, usable_keys=keys)
    assert not options.require_keys
