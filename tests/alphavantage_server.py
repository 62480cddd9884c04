"""A local server that answers as Alpha Vantage does, with everything that goes wrong."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from true_stock import TrueStock

Answer = tuple[int, dict[str, str], bytes]
BURST = {
    "Information": "Please consider spreading out your free API requests more sparingly (1 request per second), or "
    "subscribe to lift the free key rate limit (25 requests per day)."
}
SPENT = {"Information": "We have detected your API key as k3y and our standard API rate limit is 25 requests per day."}
PREMIUM = {
    "Information": "The outputsize=full parameter value is a premium feature for the TIME_SERIES_DAILY endpoint."
}
WRONG_KEY = {"Error Message": "the parameter apikey is invalid or missing. Please claim your free API key."}


def document(content: object, status: int = 200, **headers: str) -> Answer:
    return status, headers, json.dumps(content).encode()


class AlphaVantageServer(ThreadingHTTPServer):
    """States true stocks; ``failures`` are given first, and ``asked`` keeps the parameters of each call."""

    def __init__(self, *stocks: TrueStock, failures: list[Answer] | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.stocks = {one.symbol: one for one in stocks}
        self.failures = failures or []
        self.asked: list[dict[str, str]] = []
        self.without: set[str] = set()
        self.repeated: dict[str, float] = {}
        # Called before an answer is given; a test may wait in it.
        self.before_answer: Callable[[dict[str, str]], None] = lambda _: None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/query"

    @contextmanager
    def running(self) -> Iterator["AlphaVantageServer"]:
        thread = threading.Thread(target=self.serve_forever, args=[0.01], daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            self.server_close()
            thread.join()

    def answer(self, query: dict[str, str]) -> Answer:
        self.asked.append(query)
        self.before_answer(query)
        if self.failures:
            return self.failures.pop(0)
        stock = self.stocks.get(query.get("symbol", query.get("keywords", "")))
        if stock is None:
            return document({"Error Message": "Invalid API call. Please retry or visit the documentation."})
        return 200, {}, getattr(self, "_" + query["function"].lower())(stock, query).encode()

    def _time_series_daily(self, stock: TrueStock, query: dict[str, str]) -> str:
        rows = [
            (str(day), _fields(stock, number)) for number, day in enumerate(stock.days) if str(day) not in self.without
        ]
        for day, factor in self.repeated.items():
            number = stock.days.astype(str).tolist().index(day)
            rows.append((day, _fields(stock, number, factor)))
        rows = rows[-100:] if query["outputsize"] == "compact" else rows
        meta = {"2. Symbol": stock.symbol, "4. Output Size": "Full size", "5. Time Zone": "US/Eastern"}
        # Written by hand: a key may stand twice.
        series = ", ".join(f"{json.dumps(day)}: {json.dumps(fields)}" for day, fields in reversed(rows))
        return f'{{"Meta Data": {json.dumps(meta)}, "Time Series (Daily)": {{{series}}}}}'

    def _time_series_intraday(self, stock: TrueStock, query: dict[str, str]) -> str:
        days = [str(day) for day in stock.days if str(day).startswith(query["month"])]
        series = {
            f"{day} {hour:02}:00:00": _fields(stock, number) for number, day in enumerate(days) for hour in (4, 10)
        }
        series |= {f"{day} {hour:02}:30:00": _fields(stock, number) for number, day in enumerate(days)
                   for hour in range(9, 16)}  # fmt: skip
        return json.dumps({"Meta Data": {"6. Time Zone": "US/Eastern"}, f"Time Series ({query['interval']})": series})

    def _splits(self, stock: TrueStock, query: dict[str, str]) -> str:
        rows = [{"effective_date": str(day), "split_factor": f"{ratio:.4f}"} for day, ratio in stock.splits.items()]
        return json.dumps({"symbol": stock.symbol, "data": rows})

    def _dividends(self, stock: TrueStock, query: dict[str, str]) -> str:
        rows = [
            {"ex_dividend_date": str(day), "payment_date": "None", "amount": repr(amount)}
            for day, amount in stock.dividends.items()
        ]
        return json.dumps({"data": [*rows, {"ex_dividend_date": "None", "amount": "0.1"}]})

    def _symbol_search(self, stock: TrueStock, query: dict[str, str]) -> str:
        near = {"1. symbol": f"{stock.symbol}.LON", "2. name": "Another", "8. currency": "GBX"}
        exact = {"1. symbol": stock.symbol, "2. name": f"{stock.symbol} Corp.", "8. currency": stock.currency}
        return json.dumps({"bestMatches": [near, exact]})


def _fields(stock: TrueStock, number: int, factor: float = 1.0) -> dict[str, str]:
    values = [*(stock.prices[:, number] * factor).tolist(), int(stock.volumes[number])]
    return {f"{place}. {name}": repr(value) for place, (name, value) in
            enumerate(zip(("open", "high", "low", "close", "volume"), values, strict=True), start=1)}  # fmt: skip


class _Handler(BaseHTTPRequestHandler):
    server: AlphaVantageServer

    def do_GET(self) -> None:
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        status, headers, body = self.server.answer(query)
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", headers.get("Content_Length", str(len(body))))
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Stay quiet."""
