"""How the API behaves."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class ApiOptions:
    """Options of the API.

    Attributes
    ----------
    require_keys
        Whether every call but those about health and documentation needs an API key.
    allowed_hosts
        Names in the ``Host`` header that are answered; empty answers all. Where keys are not required it should hold
        the names of this machine alone, so that no web page can reach the API under a name of its own.
    read_limit, write_limit
        Calls per client, such as ``"1200/minute"``; None is no limit. A client is a key, or an address without one.
    limit_storage
        Where calls are counted: ``async+memory://`` for each process by itself, ``async+redis://…`` for all together.
    metrics_token
        Bearer token that opens ``/metrics`` and nothing else; with one, nobody reads them without it or a key.
    path_prefix
        Path under which a reverse proxy serves the API, as the OpenAPI document states it.
    most_body_bytes
        Largest request body.
    most_cache_bytes
        Memory for cached responses.
    """

    require_keys: bool = False
    allowed_hosts: tuple[str, ...] = ()
    read_limit: str | None = "6000/minute"
    write_limit: str | None = "600/minute"
    limit_storage: str = "async+memory://"
    metrics_token: str | None = field(default=None, repr=False)
    path_prefix: str = ""
    most_body_bytes: int = 1 << 20
    most_cache_bytes: int = 64 << 20
