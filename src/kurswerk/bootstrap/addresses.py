"""What an address to listen on means: who reaches it, and by which URL this machine does."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address.

    Examples
    --------
    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def url_to(host: str, port: int) -> str:
    """Return the URL by which this machine reaches an address that something listens on.

    Examples
    --------
    >>> url_to("0.0.0.0", 8000), url_to("::", 8000), url_to("localhost", 8000)
    ('http://127.0.0.1:8000', 'http://[::1]:8000', 'http://localhost:8000')
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return f"http://{host}:{port}"
    if address.is_unspecified:
        address = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
    return f"http://[{address}]:{port}" if address.version == 6 else f"http://{address}:{port}"
