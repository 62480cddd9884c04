"""``kurswerk watchlist`` and ``kurswerk data series``."""


def test_a_watchlist_from_the_command_line(run):
    assert "no watchlists yet" in run("watchlist", "list").out
    made = run("watchlist", "create", "mine", "AAPL", "BRK.B", "--json").json
    assert [one["key"] for one in made["instruments"]] == ["AAPL", "BRK.B"]
    added = run("watchlist", "add", "mine", "COIN", "--market", "coins", "--json").json
    assert added["instruments"][-1] == {"market": "coins", "key": "COIN"}
    assert len(run("watchlist", "remove", str(made["id"]), "AAPL", "--json").json["instruments"]) == 2
    assert "BRK.B" in run("watchlist", "show", "mine").out
    assert [one["name"] for one in run("watchlist", "list", "--json").json["watchlists"]] == ["mine"]
    assert "mine" in run("watchlist", "list").out
    assert "is deleted" in run("watchlist", "delete", "mine").out
    assert run("watchlist", "show", "mine").code == 1


def test_series_are_listed_with_names_from_a_list(run, tmp_path):
    assert "no series of bars yet" in run("data", "series").out
    for source, close in (("one", 2.5), ("two", 2.0)):
        rows = f"symbol,date,open,high,low,close,volume\nBRK.B,2020-01-02,2,3,1,{close},7\n"
        (tmp_path / f"{source}.csv").write_text(rows)
        assert run("ingest", "stocks", tmp_path / f"{source}.csv").code == 0
    found = run("data", "series", "BRK.B", "--conflicts", "--json").json
    assert [(one["source"], one["is_preferred"]) for one in found["series"]] == [("one", True), ("two", False)]
    assert found["conflicts"][0]["differing"] == {"close_price": 1}
    assert "two differs from one" in run("data", "series", "--conflicts").out
    (tmp_path / "names.csv").write_text("symbol,security\nBRK.B,Berkshire\nNEW,New one\n")
    assert "1 symbols added, 1 changed" in run("ingest", "symbols", tmp_path / "names.csv").out
    again = run("ingest", "symbols", tmp_path / "names.csv", "--json").json
    assert (again["added"], again["changed"], again["unchanged"]) == (0, 0, 2)
