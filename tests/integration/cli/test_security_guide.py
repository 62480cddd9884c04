"""The guide to security: its commands and its receiver, as they are written."""

import re
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from kurswerk.alerts import Delivery
from kurswerk.channels import WebhookChannel

GUIDE = (Path(__file__).resolve().parents[3] / "docs" / "security.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Return the guide's blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


def test_the_commands_for_keys_work_in_their_order(run):
    lines = [shlex.split(line, comments=True) for line in blocks("bash")[0].splitlines()]
    assert [line[:3] for line in lines] == [["kurswerk", "keys", word] for word in ("create", "rotate", "list")]
    for line in lines:
        done = run(*line[1:])
        assert done.code == 0, done.err
    assert done.out.count("n8n") == 2


def received(secret: str, previous: str | None) -> tuple[dict[str, str], bytes]:
    """Return headers and body of a message."""
    sent: list[httpx.Request] = []
    channel = WebhookChannel(httpx.MockTransport(lambda request: sent.append(request) or httpx.Response(204)))
    moment, target = datetime(2025, 1, 1, tzinfo=UTC), "http://receiver.test/"
    channel.send(Delivery(1, "k", "r", "webhook", target, secret, "A", moment, (7,), 0.9, 0, previous_secret=previous))
    names = ("X-Kurswerk-Timestamp", "X-Kurswerk-Signature")
    return {name: sent[0].headers[name] for name in names}, sent[0].content


@pytest.mark.parametrize("previous", [None, "old"])
def test_the_receiver_of_the_guide_knows_messages_by_either_secret(previous):
    program: dict[str, Any] = {}
    exec(blocks("python")[0], program)
    headers, body = received("new", previous)
    known = {secret: program["is_from_kurswerk"](secret, headers, body) for secret in (b"new", b"old", b"other")}
    assert known == {b"new": True, b"old": previous is not None, b"other": False}
    assert not program["is_from_kurswerk"](b"new", headers, body + b" ")


def test_the_call_that_replaces_a_secret_is_one_that_there_is():
    (call,) = [block for block in blocks("bash") if "curl" in block]
    words = shlex.split(call)
    assert "/api/alerts/rules/1/secret" in words[words.index("POST") + 1]
