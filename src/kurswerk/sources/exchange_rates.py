"""Exchange rates of SOL, US dollar and euro from public HTTP services: Kraken's ticker and CoinGecko's simple price."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx

from kurswerk.core.errors import KurswerkError
from kurswerk.ingest.exchange_rates import Rates
from kurswerk.ingest.fetching import SourceBusyError, retry_after_s

_TIMEOUT_S: Final = 15.0
# An answer has a few hundred bytes.
_MOST_BYTES: Final = 1_000_000
_TOO_MANY_REQUESTS, _UNAVAILABLE = 429, 503


@dataclass(frozen=True)
class Provider:
    """A service: its address, the header of its API key, and how its answer is read as (SOL in USD, USD in EUR)."""

    url: str
    key_header: str
    read: Callable[[Mapping[str, Any]], tuple[float, float]]


def _of_kraken(content: Mapping[str, Any]) -> tuple[float, float]:
    if content.get("error"):
        raise ValueError(f"it reports {content['error']}")
    # The last trade's price is the first entry of "c"; pairs have their older names in the answer.
    prices = {name: float(pair["c"][0]) for name, pair in content["result"].items()}
    sol = next(price for name, price in prices.items() if "SOL" in name)
    euro = next(price for name, price in prices.items() if "EUR" in name and "SOL" not in name)
    return sol, 1.0 / euro


def _of_coingecko(content: Mapping[str, Any]) -> tuple[float, float]:
    prices = content["solana"]
    return float(prices["usd"]), float(prices["eur"]) / float(prices["usd"])


PROVIDERS: Final[Mapping[str, Provider]] = {
    "kraken": Provider("https://api.kraken.com/0/public/Ticker?pair=SOLUSD,EURUSD", "API-Key", _of_kraken),
    "coingecko": Provider(
        "https://api.coingecko.com/api/v3/simple/price?ids=solana&vs_currencies=usd,eur&precision=full",
        "x-cg-demo-api-key",
        _of_coingecko,
    ),
}


class HttpRatesSource:
    """Reads exchange rates over HTTP; a `RatesSource`.

    Parameters
    ----------
    provider
        A key of `PROVIDERS`.
    url
        Instead of the provider's own address, e.g. of a proxy.
    api_key
        Sent in the provider's header.
    """

    def __init__(
        self,
        provider: str,
        *,
        url: str | None = None,
        api_key: str | None = None,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._provider, self._name, self._now_us = PROVIDERS[provider], provider, now_us
        self._url = url or self._provider.url
        self._headers = {"Accept": "application/json"} | ({self._provider.key_header: api_key} if api_key else {})

    @property
    def name(self) -> str:
        """Name of the provider."""
        return self._name

    async def read(self) -> Rates:
        """Return the present rates."""
        body = await self._fetch()
        try:
            sol_usd, usd_eur = self._provider.read(httpx.Response(200, content=body).json())
        except (ValueError, KeyError, IndexError, TypeError, StopIteration, ZeroDivisionError, AttributeError) as error:
            reason = f"{type(error).__name__} {error}".strip()
            raise KurswerkError("collect.rates_unreadable", source=self._name, reason=reason) from error
        return Rates(self._now_us(), sol_usd, usd_eur, self._name)

    async def _fetch(self) -> bytes:
        try:
            async with (
                httpx.AsyncClient(timeout=_TIMEOUT_S, headers=self._headers) as client,
                client.stream("GET", self._url) as answer,
            ):
                self._refuse(answer)
                body = bytearray()
                async for chunk in answer.aiter_bytes():
                    body += chunk
                    if len(body) > _MOST_BYTES:
                        raise KurswerkError("collect.rates_too_long", source=self._name, bytes=_MOST_BYTES)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = f"{type(error).__name__} {error}".strip()
            raise KurswerkError("collect.rates_unreachable", source=self._name, reason=reason) from error
        return bytes(body)

    def _refuse(self, answer: httpx.Response) -> None:
        if answer.is_success:
            return
        status = f"{answer.status_code} {answer.reason_phrase}".rstrip()
        if answer.status_code in {_TOO_MANY_REQUESTS, _UNAVAILABLE}:
            seconds = retry_after_s(answer.headers.get("Retry-After", ""))
            raise SourceBusyError("collect.rates_busy", source=self._name, status=status, seconds=seconds)
        raise KurswerkError("collect.rates_refused", source=self._name, status=status)
