"""``kurswerk collect`` as processes that are killed, against servers that break every promise."""

import json
import random
import time
from collections import Counter

import pytest

from coin_trades import SECOND, TrueCoin, true_row, true_windows
from kurswerk.market import COINS
from kurswerk.storage.server import Database
from pumpportal_server import PumpPortalServer
from running_service import data_directory, run, served
from waiting import until

GRACE_S = 2.0


def settings(database: Database, server: PumpPortalServer) -> dict[str, str]:
    return {
        "KURSWERK_DATABASE_URL": database.url,
        "KURSWERK_COLLECTOR_PUMPPORTAL_URL": server.url,
        "KURSWERK_COLLECTOR_GRACE_SECONDS": str(GRACE_S),
    }


def rows_of(database: Database) -> dict[tuple[str, int], dict[str, object]]:
    names = ", ".join(COINS.columns)
    with database.connection() as connection:
        found = connection.execute(
            f'SELECT mint, (extract(epoch FROM "timestamp") * 1000000)::bigint, {names} FROM coin_metrics'
        ).fetchall()
    return {(row[0], row[1]): dict(zip(COINS.columns, row[2:], strict=True)) for row in found}


def gaps_of(database: Database) -> list[tuple[str, str | None, int, int | None, int]]:
    with database.connection() as connection:
        return connection.execute(
            "SELECT reason, mint, (extract(epoch FROM started_at) * 1000000)::bigint,"
            " (extract(epoch FROM ended_at) * 1000000)::bigint, windows FROM collector_gaps"
        ).fetchall()


def stored_until(database: Database) -> int:
    with database.connection() as connection:
        row = connection.execute(
            "SELECT (extract(epoch FROM until) * 1000000)::bigint FROM collectors WHERE name = 'pumpportal'"
        ).fetchone()
    return row[0] if row and row[0] else 0


def await_windows(database: Database, moment_us: int) -> None:
    until(lambda: stored_until(database) >= moment_us, 120, what="windows that end by then")


def now_us() -> int:
    return time.time_ns() // 1000


def coins_of(database: Database) -> set[str]:
    with database.connection() as connection:
        return {row[0] for row in connection.execute("SELECT token_address FROM coin_streams")}


def assert_complete_or_in_a_gap(database: Database, coins: list[TrueCoin], outages: list[int]) -> None:
    """Every row is true or noted as wrong; every window without a row is counted; none is open to an outage."""
    rows, gaps, end, known = rows_of(database), gaps_of(database), stored_until(database), coins_of(database)
    windows = {coin.mint: true_windows(coin, end) for coin in coins if coin.mint in known}
    assert known == set(windows)
    for coin in coins:
        own = [(start, stop) for _, mint, start, stop, _ in gaps if mint in {None, coin.mint}]
        noted = [start for reason, mint, start, _, _ in gaps if mint == coin.mint and reason == "late trade"]
        for start, stop, phase in windows.get(coin.mint, ()):
            row = rows.get((coin.mint, stop))
            if row is not None and start not in noted:
                assert row == pytest.approx(true_row(coin, start, stop, phase), rel=1e-6, abs=1e-12)
            assert row is None or not any(start < moment < stop for moment in outages)
            if row is None and any(start <= one.moment_us < stop for one in coin.trades):
                assert any(down < stop and (up is None or up > start) for down, up in own), (coin.mint, start, stop)
    assert len(rows) + sum(gap[4] for gap in gaps) == sum(map(len, windows.values()))


def test_rows_are_complete_or_absent_whatever_the_connection_and_the_process_suffer(database: Database):
    server = PumpPortalServer(longest_delay_s=0.5, longest_answer_s=0.3)
    with data_directory() as folder, server.running():
        server.play()
        outages = []
        with served(folder, "collect", "pumpportal", **settings(database, server)) as first:
            until(lambda: len(server.followed()) >= 2)
            await_windows(database, now_us() + 3 * SECOND)
            followed = server.followed()
            outages.append(now_us())
            server.disconnect()
            until(lambda: server.connections == 2 and server.followed() >= followed)
            await_windows(database, now_us() + 6 * SECOND)
            outages.append(now_us())
            first.process.kill()
            first.process.wait()
            assert first.lines(event="a message could not be read")
        with served(folder, "collect", "pumpportal", **settings(database, server)) as second:
            until(lambda: server.connections == 3 and server.followed() >= coins_of(database))
            await_windows(database, now_us() + 7 * SECOND)
            server.rest()
            second.stop()
        gaps = [gap for gap in gaps_of(database) if gap[1] is None]
        assert Counter(gap[0] for gap in gaps) == {"interrupted": 1, "stopped": 1}
        assert all(
            start < moment < stop
            for moment, (_, _, start, stop, _) in zip(outages, sorted(gaps, key=lambda gap: gap[2]), strict=True)
        )
        assert len(rows_of(database)) > 5
        assert_complete_or_in_a_gap(database, server.coins, outages)
        overview = json.loads(run(folder, "collect", "status", "--json", **settings(database, server)).stdout)
        assert [(one["name"], one["stopped"]) for one in overview["collectors"]] == [("pumpportal", True)]
        assert {gap["reason"] for gap in overview["gaps"]} >= {"interrupted", "stopped"}


@pytest.mark.slow
def test_rows_of_all_phases_survive_many_kills_and_lost_connections(database: Database):
    server = PumpPortalServer(seed=2, longest_delay_s=0.8, longest_answer_s=0.5, ages_s=(0, 0, 595, 3_590, 7_000))
    rng = random.Random(3)
    outages = []
    with data_directory() as folder, server.running():
        server.play(trades_per_second=150, births_per_second=2)
        for round_ in range(5):
            with served(folder, "collect", "pumpportal", **settings(database, server)) as running:
                connections = server.connections
                until(
                    lambda before=connections: server.connections > before and server.followed() >= coins_of(database)
                )
                for _ in range(rng.randrange(1, 3)):
                    await_windows(database, now_us() + rng.randrange(2, 40) * SECOND)
                    outages.append(now_us())
                    server.disconnect()
                    followed = coins_of(database)
                    until(lambda before=followed: server.followed() >= before)
                await_windows(database, now_us() + 35 * SECOND)
                outages.append(now_us())
                if round_ < 4:
                    running.process.kill()
                    running.process.wait()
        server.rest()
    phases = Counter(row["phase_id_at_time"] for row in rows_of(database).values())
    assert set(phases) == {1, 2, 3}
    assert_complete_or_in_a_gap(database, server.coins, outages)
