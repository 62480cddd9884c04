"""The guides to the service, run as they are written: `docs/service.md` by bash, `docs/client.md` by Python."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from running_service import Served, data_directory, environment, run, served
from waiting import until

DOCS = Path(__file__).resolve().parents[2] / "docs"
WRITTEN_URL = "http://127.0.0.1:8000"

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("bash", "curl", "jq"))), reason="the guide is for bash with curl and jq"
)


def blocks(page: str) -> list[tuple[str, str, str]]:
    """Return language, title and content of every fenced block of a page."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```', text, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def service() -> Iterator[Served]:
    """What the guide's first terminal does, on a free port."""
    (first,) = [content for _, title, content in blocks("service.md") if title == "first terminal"]
    *before, last = first.strip().splitlines()
    assert last == "kurswerk serve"
    with data_directory() as data_dir:
        for line in before:
            done = run(data_dir, *line.split()[1:])
            assert done.returncode == 0, done.stderr
        with served(data_dir, *last.split()[1:]) as service:
            # Whoever types the second terminal's lines takes longer than the lanes need to connect.
            health = f"{service.url}/health"
            until(lambda: httpx.get(health).json()["status"] == "healthy", what="the service is healthy")
            yield service


@pytest.fixture
def workplace(service, tmp_path) -> tuple[Path, dict[str, str]]:
    """A directory, and an environment in which ``kurswerk`` is a command."""
    command = tmp_path / "bin" / "kurswerk"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m kurswerk "$@"\n')
    command.chmod(0o755)
    variables = environment(service.log.parent)
    return tmp_path, variables | {"PATH": f"{command.parent}{os.pathsep}{variables['PATH']}"}


def test_the_guide_works_as_written(service, workplace):
    directory, variables = workplace
    script = "set -eu\n"
    for language, title, content in blocks("service.md"):
        if language == "json":
            (directory / title).write_text(content)
        elif language == "bash" and not title:
            script += content
    done = subprocess.run(
        ["bash", "-c", script.replace(WRITTEN_URL, service.url)],
        cwd=directory,
        env=variables,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert '"status": "healthy"' in done.stdout
    assert '"certified": true' in done.stdout
    assert done.stdout.count("COMPLETED  100 %") == 3
    assert re.search(r'"winner_id": (\d+|null)', done.stdout)
    assert '"code": "not_found"' in done.stdout
    assert (directory / "up-20-xgboost.onnx").stat().st_size > 1000
    assert service.url in service.printed


def test_the_client_works_as_written(service, workplace):
    directory, variables = workplace
    program = "".join(content for language, _, content in blocks("client.md") if language == "python")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program.replace(WRITTEN_URL, service.url)],
        cwd=directory,
        env=variables,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "client-xgboost READY" in done.stdout
    assert "did you mean 'volume_sol'" in done.stdout
    assert "healthy" in done.stdout
