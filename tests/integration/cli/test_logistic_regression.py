"""Logistic regression on coins goes the whole way: command line, job, certificate, live predictions, replay."""

import asyncio
from dataclasses import replace
from typing import Any

import httpx
import numpy as np

from feed_lanes import expected, stored
from integration.api.api_service import Service
from kurswerk.core.timestamps import MINUTE_US
from kurswerk.market import Panel
from kurswerk.storage.server import Database
from live_predictor import predict_live
from memory_market import START_US, a_spec, random_market
from working_jobs import store_panel, until_async, working

MINUTES, LATER = 600, 20
PANEL = random_market(3, MINUTES + LATER)
MODEL = {"model_type": "logistic_regression", "params": {"C": 0.5}, "features": ["price_close", "volume_sol", "ema_20"]}


def rows(first: int, last: int) -> Panel:
    minutes = (PANEL.timestamps - START_US) // MINUTE_US
    return PANEL.where((minutes >= first) & (minutes < last))


def with_a_hole(panel: Panel) -> Panel:
    """The same rows, the first without a volume: a missing value must give the same bits everywhere, too."""
    values = panel.values.copy()
    values[panel.columns.index("volume_sol"), 0] = np.nan
    return replace(panel, values=values)


async def worked_off(database: Database, client: httpx.Client, job_id: int) -> dict[str, Any]:
    """Let a worker carry the job out, and return it."""
    async with working(database):

        def finished() -> dict[str, Any] | None:
            job = client.get(f"/api/jobs/{job_id}").json()
            return job if job["status"] not in {"PENDING", "RUNNING"} else None

        return await until_async(finished)


def test_it_is_trained_certified_activated_predicted_and_replayed(run, spec, tmp_path, database):
    store_panel(database, rows(0, MINUTES))
    by_command = run("train", spec(name="by command", **MODEL), "--json").json
    assert (by_command["status"], by_command["certified"]) == ("READY", True)
    with Service(database).client() as client:
        order = client.post("/api/models/create", json=a_spec(name="by job", **MODEL).as_json())
        assert order.status_code == 201, order.text
        job = asyncio.run(worked_off(database, client, order.json()["job_id"]))
        assert (job["status"], job["result"]["certified"]) == ("COMPLETED", True)
        by_job = client.get(f"/api/models/{job['result']['model_id']}").json()
        assert by_job["artifact_sha256"] == by_command["artifact_sha256"]
        assert by_job["certificate"]["differing_bits"] == 0
        ids = [by_command["id"], by_job["id"]]
        for number in ids:
            assert client.post(f"/api/models/{number}/activate").status_code == 200
        new = with_a_hole(rows(MINUTES, MINUTES + LATER))
        predict_live(database, tmp_path, lambda: store_panel(database, new), 2 * len(new))
        found = stored(database)
        batch = expected(database, ids)
        assert found == {key: batch[key] for key in found}
        assert len(found) == 2 * len(new)
        assert len(set(found.values())) > len(new) // 2  # they differ from row to row
        predictions = client.get("/api/predictions", params={"limit": 1000}).json()["predictions"]
        for one in predictions[::7]:
            replayed = client.get(f"/api/predictions/{one['id']}/replay").json()
            assert (replayed["equal"], replayed["late_rows"], replayed["corrected_rows"]) == (True, 0, [])
