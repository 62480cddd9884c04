"""The dashboard's benchmark reports what it needs, and what it found."""

import sys

import httpx
import pytest

from benchmarks import _browser as browser
from benchmarks import dashboard as bench
from benchmarks._dashboard_peer import PEERS, peer_app
from kurswerk.core.errors import InvalidInputError
from memory_dashboard import Asgi

KEYS = {"name", "ours_s", "peer", "peer_s", "ratio", "at_least", "note"}


def test_a_missing_browser_is_one_clear_line(monkeypatch, tmp_path):
    monkeypatch.setattr(browser, "CHROMIUM", None)
    with pytest.raises(InvalidInputError, match="apt-get install chromium"), browser.reader(tmp_path):
        pass


def test_a_missing_playwright_is_one_clear_line(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "playwright.sync_api", None)
    with pytest.raises(InvalidInputError, match="pip install"), browser.reader(tmp_path):
        pass


def test_a_page_counts_when_both_its_content_and_its_largest_part_are_there():
    paints = [browser.Paint(900.0, 1200.0, 1500.0, "a"), browser.Paint(1300.0, 1000.0, 1500.0, "b")]
    entry = bench._of_paint("models", paints, "table", [browser.Paint(500.0, 400.0, 500.0, "c")])
    assert set(entry) == KEYS
    assert entry["ours_s"] == pytest.approx(1.25)
    assert entry["ratio"] == pytest.approx(0.4)
    assert "worst 1.30 s" in entry["note"]


def test_frames_are_judged_by_the_longest():
    entry = bench._of_frames([16.0, 16.0, 80.0])
    assert set(entry) == KEYS
    assert entry["ours_s"] == pytest.approx(0.08)
    assert "1 of 3 above 50 ms" in entry["note"]


def test_the_peers_are_served():
    client = Asgi(peer_app())
    for wanted in PEERS.values():
        answer: httpx.Response = client.get(wanted.path)
        assert answer.status_code == 200
        assert "react-entry-point" in answer.text
