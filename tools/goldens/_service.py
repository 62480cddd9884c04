"""The running service: OpenAPI, one answer of every route, and the predictions of a recorded stream."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
from websockets.sync.client import connect

from goldens._command_line import run, shortened
from goldens._market import BOOSTED, FOREST, MARKET, ORDERED, TESTED
from goldens._normalise import Normaliser
from goldens._stream import Stream

Found = TypeVar("Found")
_MOST_WAIT_S = 300.0
_PERIOD = {"test_start": TESTED[0], "test_end": TESTED[1]}
_THRESHOLD = 0.5


def until(look: Callable[[], Found | None]) -> Found:
    """Wait until something is found, and return it."""
    deadline = time.monotonic() + _MOST_WAIT_S
    while not (found := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited for {_MOST_WAIT_S:g} s in vain")
        time.sleep(0.05)
    return found


@contextlib.contextmanager
def started(folder: Path, *words: str) -> Iterator[dict[str, Any]]:
    """Run a part of the service until the block ends; gives the document that it prints once it works."""
    printed = folder / f"{words[-1]}.out"
    with printed.open("w") as output, printed.with_suffix(".err").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "kurswerk", *words, "--json"], env=os.environ, stdout=output, stderr=errors
        )
        try:
            until(lambda: _document(printed) or process.poll() is not None)
            yield json.loads(printed.read_text())
            process.terminate()
            process.wait(60)
        finally:
            process.kill()
            process.wait()


def _document(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except ValueError:
        return None


class Api:
    """Calls the REST API and keeps the last answer of each route."""

    def __init__(self, url: str, normalise: Normaliser) -> None:
        self._client, self._normalise = httpx.Client(base_url=url, timeout=60), normalise
        self.answers: dict[str, Any] = {}

    def __call__(self, method: str, route: str, body: Any = None, **values: Any) -> Any:
        """Call a route with the values of its path and query; return what it answered."""
        path = route.format(**values)
        query = {name: value for name, value in values.items() if f"{{{name}}}" not in route}
        answer = self._client.request(method, path, json=body, params=query)
        text = answer.headers.get("content-type", "").startswith("application/json")
        document = answer.json() if text and answer.content else None
        name = f"{method} {route}" + (f" {answer.status_code}" if answer.is_error else "")
        self.answers[name] = {
            "status": answer.status_code,
            "content_type": answer.headers.get("content-type"),
            "body": self._normalise(shortened(document)),
        }
        return document if text else answer.content


def record_service(folder: Path, database_url: str) -> dict[str, dict[str, Any]]:
    """Record the service; parameters as in `record_command_line`.

    Returns
    -------
    dict
        Golden → its document: ``openapi``, ``rest``, ``predictions``.
    """
    normalise = Normaliser({str(folder): "<folder>", database_url: "<url>"})
    _trained(folder)
    with started(folder, "serve", "--port", "0", "--only", "api,predictor,dashboard") as printed:
        api = Api(printed["addresses"]["api"], normalise)
        openapi = api("GET", "/openapi.json")
        rules = _prepared(api)
        stream = Stream(folder, database_url)
        with connect(printed["addresses"]["api"].replace("http", "ws") + "/ws/predictions") as socket:
            stream.send()
            message = json.loads(socket.recv(timeout=60))
        predictions = stream.stored()
        _looked_at(api, stream, predictions)
        predictions["replays"] = _replays(api, stream)
        _switched(api, rules)
        ordered = _ordered(api)
        with started(folder, "worker") as worker:
            until(lambda: _finished(api))
        _results(api, ordered)
    api.answers["WS /ws/predictions"] = {"fields": sorted(message)}
    api.answers["kurswerk serve"] = normalise(printed) | {"database": "<database>"}
    api.answers["kurswerk worker"] = normalise(worker) | {"database": "<database>"}
    del api.answers["GET /openapi.json"]
    return {"openapi": openapi, "rest": api.answers, "predictions": predictions}


def _trained(folder: Path) -> None:
    run("simulate", "coins", *MARKET, "--json")
    for spec in (FOREST, BOOSTED):
        path = folder / f"{spec['name']}.json"
        path.write_text(json.dumps(spec))
        run("train", str(path), "--json")


def _prepared(api: Api) -> list[int]:
    """Activate both models and add alert rules; return the ids of the rules."""
    for model_id in (1, 2):
        api("PATCH", "/api/models/{model_id}", {"alert_threshold": _THRESHOLD}, model_id=model_id)
        api("POST", "/api/models/{model_id}/activate", {"force": True, "reason": "a trial"}, model_id=model_id)
    api("POST", "/api/models/{model_id}/reload", model_id=2)
    common = {"channel": "database", "least_agreeing": 2, "model_ids": [1, 2]}
    rules = [
        {"name": "two agree", **common},
        {"name": "seldom", "channel": "log", "model_ids": [2], "min_probability": 0.6, "cooldown_seconds": 86_400},
        {"name": "nowhere", "channel": "webhook", "target": "http://127.0.0.1:9/x", "min_probability": 1.0},
    ]
    ids = [api("POST", "/api/alerts/rules", rule)["id"] for rule in rules]
    until(lambda: all(model["loaded"] for model in api("GET", "/api/models/active")["models"]))
    return ids


def _looked_at(api: Api, stream: Stream, predictions: dict[str, Any]) -> None:
    first = predictions["sample"][0]
    coin = first["coin_id"]
    api("GET", "/api/predictions", coin_id=coin, limit=3)
    api("GET", "/api/predictions/latest/{coin_id}", coin_id=coin)
    api("GET", "/api/predictions/{prediction_id}", prediction_id=stream.id_of(first))
    api("POST", "/api/predict", {"coin_id": coin})
    api("GET", "/api/stats")
    api("GET", "/api/alerts", coin_id=predictions["first_alert"]["coin_id"], limit=2)
    api("GET", "/api/alerts/deliveries", coin_id=predictions["first_delivery"]["coin_id"], limit=2)
    api("POST", "/api/alerts/deliveries/{delivery_id}/retry", delivery_id=stream.delivery_id())
    api("GET", "/api/alerts/rules")
    for path in ("/api/phases", "/api/data-availability", "/api/health", "/health", "/ready"):
        api("GET", path)
    for path in ("/metrics", "/api/metrics"):
        names = {line.split()[2] for line in api("GET", path).decode().splitlines() if line.startswith("# TYPE")}
        api.answers[f"GET {path}"]["body"] = sorted(names)
    for unknown in ("/api/predictions/{n}", "/api/models/{n}", "/api/queue/{n}", "/api/test-results/{n}"):
        api("GET", unknown, n=999_999_999)


def _replays(api: Api, stream: Stream) -> list[Any]:
    """Replay a sample; correct rows and replay those that depend on them."""
    route = "/api/predictions/{prediction_id}/replay"
    found = [_replay(api, stream, key) for key in stream.sample()]
    corrected = stream.correct()
    until(lambda: api("GET", route, prediction_id=stream.id_of(corrected[-1]))["corrected_rows"])
    found += [_replay(api, stream, key) for key in corrected]
    del api.answers[f"GET {route}"]["body"]["prediction_id"]
    return found


def _replay(api: Api, stream: Stream, key: dict[str, Any]) -> Any:
    answer = api("GET", "/api/predictions/{prediction_id}/replay", prediction_id=stream.id_of(key))
    return [key["coin_id"], key["timestamp_us"], key["model_id"], {**answer, "prediction_id": None}]


def _switched(api: Api, rules: list[int]) -> None:
    api("PATCH", "/api/alerts/rules/{rule_id}", {"is_active": False}, rule_id=rules[0])
    api("DELETE", "/api/alerts/rules/{rule_id}", rule_id=rules[2])
    api("POST", "/api/models/{model_id}/deactivate", model_id=1)


def _ordered(api: Api) -> dict[str, int]:
    """Order one job of each kind before there is a worker; return their ids."""
    order = {"model_a_id": 1, "model_b_id": 2, **_PERIOD}
    jobs = {
        "test": api("POST", "/api/models/{model_id}/test", _PERIOD, model_id=1, priority=3)["job_id"],
        "compare": api("POST", "/api/models/compare", order, priority=2)["job_id"],
        "certify": api("POST", "/api/models/{model_id}/certify", model_id=2, priority=1)["job_id"],
        "train": api("POST", "/api/models/create", ORDERED)["job_id"],
    }
    for prefix in ("/api/queue", "/api/jobs"):
        api("POST", f"{prefix}/{{job_id}}/cancel", job_id=jobs["test"])
        api("POST", f"{prefix}/{{job_id}}/retry", job_id=jobs["test"])
    api("POST", "/api/models/create", ORDERED)
    api("POST", "/api/models/create", ORDERED | {"name": "x", "features": ["volume_so"], "train_end": "soon"})
    api("POST", "/api/models/{model_id}/test", _PERIOD | {"mints": ["NOBODY"]}, model_id=1)
    return jobs


def _finished(api: Api) -> bool:
    return all(job["status"] in {"COMPLETED", "FAILED"} for job in api("GET", "/api/queue")["jobs"])


def _results(api: Api, jobs: dict[str, int]) -> None:
    for prefix in ("/api/queue", "/api/jobs"):
        api("GET", prefix, sort="id", order="asc")
        for kind, job_id in jobs.items():
            api("GET", f"{prefix}/{{job_id}}", job_id=job_id)
            api.answers[f"GET {prefix}/{{job_id}} ({kind})"] = api.answers.pop(f"GET {prefix}/{{job_id}}")
        api("GET", f"{prefix}/{{job_id}}/log", job_id=jobs["train"])
        _keep_ends(api.answers[f"GET {prefix}/{{job_id}}/log"])
    api("GET", "/api/models", sort="id", order="asc")
    api("GET", "/api/models/{model_id}", model_id=3)
    api("GET", "/api/models/{model_id}/download", model_id=2)
    api("GET", "/api/test-results", sort="id", order="asc")
    api("GET", "/api/test-results/{test_id}", test_id=1)
    api("GET", "/api/comparisons", sort="id", order="asc")
    api("GET", "/api/comparisons/{comparison_id}", comparison_id=1)
    api("DELETE", "/api/models/{model_id}", model_id=3)


def _keep_ends(answer: dict[str, Any]) -> None:
    """Keep the first and the last line of a job's log; which lie between depends on how fast the machine is."""
    lines = answer["body"]["lines"]
    for line in lines:
        line["id"] = "<number>"
    answer["body"] = {**answer["body"], "lines": [lines[0], lines[-1]], "next_after": "<number>"}
