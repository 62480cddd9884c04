"""What rules, forms and schemas need to know about a channel, without knowing the channel."""

from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from kurswerk.alerts._delivery import Delivery


@dataclass(frozen=True, kw_only=True)
class ChannelKind:
    """A way that messages take: everything about it but how a message is sent.

    Attributes
    ----------
    name
        The value of ``channel`` in a rule.
    label
        Its name in a form.
    summary
        How a rule describes where it sends; ``{target}`` stands for the target.
    target_prefixes
        How a target begins; empty where the channel takes no target.
    target_example
        A target that is right, without anybody's secret.
    secret
        What the rule's secret is for; None where the channel takes none.
    secret_required
        Whether nothing can be sent without one.
    path_is_secret
        Whether whoever knows a target's path can send messages too, so that only its host may be shown.

    Examples
    --------
    >>> pager = ChannelKind(name="pager", label="Pager", summary="pager {target}", target_prefixes=("tel:",))
    >>> pager.accepts("tel:110"), pager.accepts(None), pager.target_pattern
    (True, False, '^(tel:)')
    """

    name: str
    label: str
    summary: str
    target_prefixes: tuple[str, ...] = ()
    target_example: str | None = None
    secret: str | None = None
    secret_required: bool = False
    path_is_secret: bool = False

    @property
    def target_pattern(self) -> str | None:
        """A regular expression that a target begins with; None where none is needed."""
        return f"^({'|'.join(self.target_prefixes)})" if self.target_prefixes else None

    def accepts(self, target: str | None) -> bool:
        """Return whether messages can be sent to a target."""
        return not self.target_prefixes or (target or "").startswith(self.target_prefixes)


def public_target(target: str | None, kind: ChannelKind | None) -> str | None:
    """Return as much of a target as may be shown: never who logs in, and the path only where it is no secret.

    Examples
    --------
    >>> public_target("https://me:pw@hooks.test:8443/SECRET?token=abc", None)
    'https://hooks.test:8443/…'
    >>> mail = ChannelKind(name="mail", label="Mail", summary="mail")
    >>> public_target("smtp://me:pw@mail.test:25/me@example.org", mail)
    'smtp://mail.test:25/me@example.org'
    """
    if target is None:
        return None
    parts = urlsplit(target)
    host = parts.netloc.rpartition("@")[2]
    # A channel that is not registered any more may have had secrets in its path.
    if kind is None or kind.path_is_secret:
        return f"{parts.scheme}://{host}/…"
    return f"{parts.scheme}://{host}{parts.path}"


class Channel(Protocol):
    """Sends messages one way."""

    @property
    def kind(self) -> ChannelKind:
        """What the channel is."""
        ...

    def send(self, delivery: Delivery) -> None:
        """Send a message; any exception means that it has not arrived."""
        ...
