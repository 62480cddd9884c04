"""Where a part of the service listens."""

import socket

import pytest

from kurswerk.bootstrap.http_server import bind, url_of
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
