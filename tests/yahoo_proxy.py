"""A local proxy that answers as Yahoo's servers do, with certificates of an authority of its own."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kurswerk.ingest.fetching import BarRequest
from true_stock import NYSE, TrueStock

Answer = tuple[int, dict[str, str], bytes]
OPEN_S = 9 * 3600 + 1800  # of a session, after local midnight
NOT_FOUND = (404, {}, json.dumps({"chart": {"result": None, "error": {"code": "Not Found", "description":
             "No data found, symbol may be delisted"}}}).encode())  # fmt: skip


def failing(code: str, description: str, status: int = 400) -> Answer:
    return (
        status,
        {},
        json.dumps({"chart": {"result": None, "error": {"code": code, "description": description}}}).encode(),
    )


class YahooProxy(ThreadingHTTPServer):
    """States true stocks as of ``now_us``, adjusted for the splits up to then.

    ``failures`` are given first, each twice: yfinance asks again with other cookies. ``asked`` keeps the questions.
    """

    def __init__(self, folder: Path, *stocks: TrueStock, now_us: int) -> None:
        super().__init__(("127.0.0.1", 0), _Tunnel)
        self.stocks = {one.symbol: one for one in stocks}
        self.now_us = now_us
        self.failures: list[Answer] = []
        self.without: frozenset[date] = frozenset()
        self.asked: list[dict[str, str]] = []
        self.has_live_row = False
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.ca_file, certificate = folder / "authority.pem", folder / "server.pem"
        authority, server = _certificates()
        self.ca_file.write_bytes(authority)
        certificate.write_bytes(server)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(certificate)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @contextmanager
    def running(self) -> Iterator["YahooProxy"]:
        thread = threading.Thread(target=self.serve_forever, args=[0.01], daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.may_answer.set()
            self.shutdown()
            self.server_close()
            thread.join()

    def answer(self, path: str, query: dict[str, str]) -> Answer:
        if path.endswith("getcrumb"):
            return 200, {}, b"crumb"
        if "/v8/finance/chart/" not in path:
            return 404, {"Set-Cookie": "A3=cookie; Domain=.yahoo.com; Path=/; Max-Age=31557600"}, b""
        self.asked.append(query)
        self.may_answer.wait(30)
        if self.failures:
            return self.failures.pop(0)
        stock = self.stocks.get(unquote(path.rpartition("/")[2]))
        return (
            NOT_FOUND
            if stock is None
            else (200, {}, json.dumps({"chart": {"result": [self._chart(stock, query)]}}).encode())
        )

    def _chart(self, stock: TrueStock, query: dict[str, str]) -> dict[str, object]:
        first, last = (int(query[name]) for name in ("period1", "period2"))
        request = BarRequest(
            stock.symbol, "1d", datetime.fromtimestamp(first, UTC).date() + timedelta(days=1), date.max
        )
        bars = stock.stated(request, min(self.now_us, last * 1_000_000), is_adjusted=True, without=self.without)
        days = bars.starts.astype("datetime64[D]")
        opens = NYSE.sessions.opens_us[np.searchsorted(NYSE.sessions.dates, days)] // 1_000_000
        rows = np.column_stack([*bars.prices.astype(np.float32), bars.volumes]).tolist()
        seconds = opens.tolist()
        if query["interval"] != "1d":
            step = {"60m": 3600, "1m": 60}[query["interval"]]
            seconds = [one + k * step for one in seconds for k in range(7)]
            rows = [row for row in rows for _ in range(7)]
        meta = {
            "currency": stock.currency,
            "exchangeTimezoneName": "America/New_York",
            "longName": f"{stock.symbol} Corp.",
            "regularMarketTime": self.now_us // 1_000_000,
        }
        if self.has_live_row:
            seconds, rows = [*seconds, self.now_us // 1_000_000], [*rows, [1.01 * value for value in rows[-1]]]
        # A day without a trade, as Yahoo states it.
        seconds, rows = [seconds[0] - 86_400, *seconds], [[None] * 5, *rows]
        fields = dict(zip(("open", "high", "low", "close", "volume"), map(list, zip(*rows, strict=True)), strict=True))
        splits = [{"date": at(day), "numerator": ratio, "denominator": 1.0} for day, ratio in bars.splits]
        dividends = [{"date": at(day), "amount": amount} for day, amount in bars.dividends]
        events = {
            kind: {str(one["date"]): one for one in found}
            for kind, found in (("splits", splits), ("dividends", dividends))
        }
        return {"meta": meta, "timestamp": seconds, "events": events, "indicators": {"quote": [fields]}}


def at(day: date) -> int:
    """Return the second at which a day's session opens."""
    return int(NYSE.sessions.opens_us[np.searchsorted(NYSE.sessions.dates, np.datetime64(day))]) // 1_000_000


class _Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: YahooProxy

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


class _Tunnel(_Quiet):
    def do_CONNECT(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.close_connection = True
        try:
            with self.server.tls.wrap_socket(self.connection, server_side=True) as inner:
                _Site(inner, self.client_address, self.server)
        except (OSError, ssl.SSLError):
            pass


class _Site(_Quiet):
    def do_GET(self) -> None:
        address = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        status, headers, body = self.server.answer(address.path, query)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", headers.get("Content_Length", str(len(body))))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = "Content_Length" in headers


@cache
def _certificates() -> tuple[bytes, bytes]:
    """Return an authority, and key and certificate of Yahoo's servers signed by it, as PEM."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("Test authority", "yahoo.com")]
    now = datetime.now(UTC)

    def signed(number: int) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(names[number])
            .issuer_name(names[0])
            .public_key(keys[number].public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=number == 0, path_length=None), critical=True)
        )

    hosts = x509.SubjectAlternativeName([x509.DNSName(name) for name in ("*.yahoo.com", "*.finance.yahoo.com")])
    authority = signed(0).sign(keys[0], hashes.SHA256())
    server = signed(1).add_extension(hosts, critical=False).sign(keys[0], hashes.SHA256())
    private = keys[1].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem = serialization.Encoding.PEM
    return authority.public_bytes(pem), private + server.public_bytes(pem)
