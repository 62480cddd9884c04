"""Watchlists over HTTP."""

import httpx

A, B = {"market": "stocks", "key": "BRK.B"}, {"market": "coins", "key": "A/B C"}


def test_a_watchlist_is_made_changed_and_deleted(client: httpx.Client):
    made = client.post("/api/watchlists", json={"name": "mine", "instruments": [A]})
    assert made.status_code == 201
    path = f"/api/watchlists/{made.json()['id']}"
    assert client.post(f"{path}/instruments", json={"instruments": [B, A]}).json()["instruments"] == [A, B]
    assert client.get(path).json() == client.get("/api/watchlists").json()["watchlists"][0]
    removed = client.delete(f"{path}/instruments/coins/A%2FB%20C")
    assert removed.json()["instruments"] == [A]
    renamed = client.patch(path, json={"name": "yours", "instruments": [B]}).json()
    assert (renamed["name"], renamed["instruments"]) == ("yours", [B])
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404


def test_what_is_no_watchlist_is_refused(client: httpx.Client):
    assert client.post("/api/watchlists", json={"name": "a"}).status_code == 201
    assert client.post("/api/watchlists", json={"name": "a"}).status_code == 409
    assert client.post("/api/watchlists", json={"name": "7"}).status_code == 400
    for wrong in (
        {"name": "b", "instruments": [{"market": "bonds", "key": "A"}]},
        {"name": "b", "instruments": [{"market": "stocks", "key": ""}]},
        {"name": "b", "more": 1},
    ):
        assert client.post("/api/watchlists", json=wrong).status_code == 422, wrong
    assert client.get("/api/watchlists").json()["watchlists"][0]["name"] == "a"
