"""Every command's ``--json`` document, and the bits of what the commands make."""

import contextlib
import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from goldens._market import BOOSTED, CANDLES, CATALOGUE, FOREST, MARKET, TESTED
from goldens._normalise import Normaliser
from kurswerk.cli import main


class CommandLine:
    """Runs commands in this process and keeps what they print."""

    def __init__(self, folder: Path, normalise: Normaliser) -> None:
        self._folder, self._normalise = folder, normalise
        self.documents: dict[str, Any] = {}

    def __call__(self, *words: object, name: str | None = None, fails: bool = False) -> Any:
        """Run a command with ``--json``, keep its document under ``name`` (or its words) and return it."""
        texts = [str(word) for word in words]
        code, printed = run(*texts, "--json")
        if (code != 0) != fails:
            raise RuntimeError(f"kurswerk {' '.join(texts)} exited with {code}: {printed}")
        document = json.loads(printed)
        shown = name or self._normalise.text(" ".join(texts))
        self.documents[shown] = {"exit": code, "document": self._normalise(shortened(document))}
        return document

    def file(self, name: str, content: object) -> Path:
        """Write a file that a command reads."""
        path = self._folder / name
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path


def run(*words: str) -> tuple[int, str]:
    """Run a command in this process; return its exit code and what it printed on stdout."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
        try:
            main(list(words))
        except SystemExit as error:
            return int(error.code or 0), printed.getvalue()
    return 0, printed.getvalue()


def shortened(value: Any) -> Any:
    """Return a document whose long arrays of numbers are replaced by their digests."""
    if isinstance(value, dict):
        return {key: shortened(item) for key, item in value.items()}
    if isinstance(value, list):
        if len(value) > 20 and all(isinstance(item, int | float) or item is None for item in value):
            return f"{len(value)} numbers, {digest(json.dumps(value).encode())}"
        return [shortened(item) for item in value]
    return value


def digest(data: bytes) -> str:
    """Return the SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def record_command_line(folder: Path, database_url: str) -> dict[str, dict[str, Any]]:
    """Record all commands.

    ``KURSWERK_DATABASE_URL`` names the migrated, empty database, ``KURSWERK_DATA_DIR`` and the working directory lie
    in ``folder``.

    Returns
    -------
    dict
        Golden → its document: ``command_line``, ``features`` (definition hashes), ``artifacts`` (SHA-256 of models and
        of computed features).
    """
    kurswerk = CommandLine(folder, Normaliser({str(folder): "<folder>", database_url: "<url>"}))
    _database(kurswerk)
    bits = _market(kurswerk, folder)
    hashes = kurswerk("train", kurswerk.file("catalogue.json", CATALOGUE))["feature_hashes"]
    bits |= _models(kurswerk, folder)
    _judged(kurswerk)
    _served(kurswerk)
    _keys_and_errors(kurswerk)
    return {"command_line": kurswerk.documents, "features": hashes, "artifacts": bits}


def _database(kurswerk: CommandLine) -> None:
    kurswerk("db", "upgrade")
    document = kurswerk("db", "status")
    status = kurswerk.documents["db status"]["document"]
    status["tables"] = sorted(table["name"] for table in document["tables"] if "procrastinate" not in table["name"])
    status["database"] = "<database>"
    kurswerk.documents["db upgrade"]["document"]["database"] = "<database>"
    kurswerk("db", "url")
    kurswerk("db", "install-feed")
    kurswerk.documents["db install-feed"]["document"]["database"] = "<database>"
    kurswerk("db", "stop", fails=True)


def _market(kurswerk: CommandLine, folder: Path) -> dict[str, Any]:
    """Fill the market; return the bits of features computed from a file."""
    kurswerk("simulate", "coins", *MARKET)
    kurswerk("simulate", "coins", *MARKET, name="simulate coins, again")
    market = folder / "market.parquet"
    kurswerk("simulate", "coins", *MARKET, "--output", market)
    kurswerk("ingest", "coins", kurswerk.file("candles.csv", CANDLES))
    kurswerk("ingest", "coins", folder / "candles.csv", name="ingest coins, again")
    spec, bits = kurswerk.file("features.json", BOOSTED), {}
    for name, options in {"batch": (), "live": ("--live", "--chunk", 50)}.items():
        target = folder / f"{name}.parquet"
        kurswerk("features", spec, market, target, *options)
        bits[f"features, {name}"] = dict(_column_digests(target))
    return bits


def _column_digests(path: Path) -> Iterator[tuple[str, str]]:
    table = pq.read_table(path)
    for name in table.column_names[2:]:
        yield name, digest(table.column(name).to_numpy().tobytes())


def _models(kurswerk: CommandLine, folder: Path) -> dict[str, Any]:
    """Train, look at, export and reproduce models; return the SHA-256 of their artifacts."""
    bits = {}
    for spec in (FOREST, BOOSTED):
        name = spec["name"]
        kurswerk("train", kurswerk.file(f"{name}.json", spec))
        kurswerk("models", name, "--export", folder / f"{name}.onnx")
        kurswerk("models", name, "--reproduce")
        bits[name] = digest((folder / f"{name}.onnx").read_bytes())
    kurswerk("models")
    kurswerk("models", "--type", "xgboost", "--limit", 1)
    kurswerk("models", "golden-xgboost")
    kurswerk("models", "golden-catalogue", "--delete")
    return bits


def _judged(kurswerk: CommandLine) -> None:
    period = ("--start", TESTED[0], "--end", TESTED[1])
    kurswerk("test", "golden-forest", *period)
    kurswerk("test", "golden-forest", *period, "--fee-bps", 0, "--slippage-bps", 0, name="test without costs")
    kurswerk("compare", "golden-forest", "golden-xgboost", *period)
    kurswerk("certify", "golden-xgboost")
    kurswerk("report", "golden-xgboost", "--output", "report.html")
    kurswerk.documents["report golden-xgboost --output report.html"]["document"]["bytes"] = "<number>"


def _served(kurswerk: CommandLine) -> None:
    kurswerk("activate", "golden-xgboost")
    kurswerk("activate", "golden-forest", "--force", "--reason", "a trial")
    kurswerk("deactivate", "golden-forest")
    kurswerk("predict", "GOLDEN")
    kurswerk("predict", "GOLDEN", "--model", "golden-xgboost", "--at", "2025-02-01T00:01:30Z")
    kurswerk("simulate", "live", "--seconds", "0.2", "--speed", "100")
    live = kurswerk.documents["simulate live --seconds 0.2 --speed 100"]["document"]
    live |= dict.fromkeys(("rows", "coins", "seed"), "<number>")


def _keys_and_errors(kurswerk: CommandLine) -> None:
    kurswerk("keys", "create", "n8n", "--scope", "train")
    kurswerk("keys", "list")
    kurswerk("keys", "revoke", "n8n")
    kurswerk("models", "nobody", fails=True)
    kurswerk("train", kurswerk.file("unknown.json", BOOSTED | {"name": "x", "features": ["volume_so"]}), fails=True)
    kurswerk("train", kurswerk.file("empty.json", {}), fails=True)
    kurswerk("train", "golden-xgboost.json", name="train, name taken", fails=True)
    kurswerk("test", "golden-xgboost", "--start", TESTED[1], "--end", TESTED[0], fails=True)
    kurswerk("predict", "NOBODY", fails=True)
