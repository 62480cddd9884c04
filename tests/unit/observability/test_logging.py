"""Log lines: one form for everybody, context carried along, no secret in any of them."""

import io
import json
import logging

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from kurswerk.observability import configure_logging, get_logger, log_context
from kurswerk.observability._logging import without_secrets


@pytest.fixture(autouse=True)
def logging_as_before():
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_lines_of_libraries_carry_the_context_too():
    stream = io.StringIO()
    configure_logging(json=True, stream=stream)
    with log_context(request_id="r-1"):
        with log_context(job_id=7):
            get_logger("kurswerk.jobs").info("job done", rows=12)
        logging.getLogger("uvicorn.error").warning("slow %s", "client")
    get_logger("kurswerk.jobs").info("idle")

    done, slow, idle = lines(stream)
    assert (done["event"], done["request_id"], done["job_id"], done["rows"]) == ("job done", "r-1", 7, 12)
    assert (slow["event"], slow["request_id"], slow["level"]) == ("slow client", "r-1", "warning")
    assert "job_id" not in slow
    assert "request_id" not in idle
    assert all(line["timestamp"].endswith("Z") and line["logger"] for line in (done, slow, idle))


def test_the_level_and_the_quiet_libraries_are_kept():
    stream = io.StringIO()
    configure_logging(level="warning", json=True, stream=stream)
    get_logger("a").info("unseen")
    logging.getLogger("procrastinate.worker").info("unseen")
    get_logger("a").warning("seen")
    assert [line["event"] for line in lines(stream)] == ["seen"]


def test_a_person_reads_text():
    stream = io.StringIO()
    configure_logging(json=False, stream=stream)
    get_logger("a").info("ready", port=8000)
    assert "ready" in stream.getvalue()
    assert "port=8000" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_an_exception_is_logged_without_the_password_in_its_text():
    stream = io.StringIO()
    configure_logging(json=True, stream=stream)
    try:
        int("postgresql://me:hunter2@db/market")
    except ValueError:
        get_logger("a").exception("failed", error=ValueError("password=hunter2 refused"))
    (line,) = lines(stream)
    assert "hunter2" not in stream.getvalue()
    assert "postgresql://me:***@db/market" in line["exception"]


@given(
    st.sampled_from(["password", "X-API-Key", "api_key", "Authorization", "client_secret", "DB_PASSWORD", "token"]),
    st.text(min_size=4),
)
def test_a_value_under_the_name_of_a_secret_never_appears(name, secret):
    event = without_secrets(None, "info", {"event": "x", name: secret, "request": {"headers": [{name: secret}]}})
    assert event[name] == "***"
    assert event["request"]["headers"] == [{name: "***"}]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("redis://:s3cret@cache:6379/0", "redis://:***@cache:6379/0"),
        ("host=db password=s3cret user=me", "host=db password=*** user=me"),
        ("host=db password='s3 cret' user=me", "host=db password=*** user=me"),
        ("key kw_abcdefghijklmnop1234 refused", "key kw_*** refused"),
        ("http://localhost:8000/docs and me@example.org", "http://localhost:8000/docs and me@example.org"),
    ],
)
def test_secrets_inside_text_are_masked_and_other_text_is_left(text, masked):
    assert without_secrets(None, "info", {"event": text})["event"] == masked
