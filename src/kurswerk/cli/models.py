"""``kurswerk models``: list them, show one, export, reproduce or delete it."""

from pathlib import Path
from typing import Any

import click

from kurswerk.bootstrap.application import open_application
from kurswerk.cli._groups import CommandGroup
from kurswerk.cli._models import model_document, print_model
from kurswerk.cli._options import model_key
from kurswerk.cli._output import json_option, print_json
from kurswerk.cli._terminal import print_table, progress_bar
from kurswerk.core.digest import sha256_bytes
from kurswerk.core.errors import ConflictError, KurswerkError
from kurswerk.core.messages import Message
from kurswerk.core.timestamps import parse_timestamp, to_datetime
from kurswerk.market import MARKETS
from kurswerk.registry import MODEL_STATUSES, load_model
from kurswerk.training import reproduce, specification_again, train


@click.command("models")
@click.argument("model", required=False)
@click.option("--status", type=click.Choice(MODEL_STATUSES), help="Only models of this status.")
@click.option("--type", "model_type", help="Only models of this type.")
@click.option("--market", type=click.Choice(list(MARKETS)), help="Only models of this market.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@click.option("--offset", type=click.IntRange(0), default=0)
@click.option("--export", "target", type=click.Path(dir_okay=False, path_type=Path), help="Write MODEL's ONNX file.")
@click.option("--reproduce", "again", is_flag=True, help="Train MODEL again from its record and compare the bytes.")
@click.option("--delete", is_flag=True, help="Mark MODEL deleted; its name is free again.")
@json_option
def models(
    model: str | None,
    status: str | None,
    model_type: str | None,
    market: str | None,
    limit: int,
    offset: int,
    target: Path | None,
    *,
    again: bool,
    delete: bool,
    as_json: bool,
) -> None:
    """List all models, newest first, or show MODEL (id or name)."""
    if model is None:
        if target or again or delete:
            raise click.UsageError(str(Message("cli.models_which")))
        _list(status, model_type, market, limit, offset, as_json=as_json)
    elif sum((target is not None, again, delete)) > 1:
        raise click.UsageError(str(Message("cli.models_one_at_a_time")))
    elif target is not None:
        _export(model, target, as_json=as_json)
    elif again:
        _reproduce(model, as_json=as_json)
    elif delete:
        _delete(model, as_json=as_json)
    else:
        record = open_application().models.get(model_key(model))
        if as_json:
            print_json(model_document(record))
        else:
            print_model(record)


def _list(
    status: str | None, model_type: str | None, market: str | None, limit: int, offset: int, *, as_json: bool
) -> None:
    records = open_application().models.find(
        status=status, model_type=model_type, market=market, limit=limit, offset=offset
    )
    documents = [model_document(record, whole=False) for record in records]
    if as_json:
        print_json({"models": documents, "limit": limit, "offset": offset})
        return
    if not documents:
        click.echo(Message("cli.no_models"))
        return
    rows = [
        (
            document["id"],
            document["name"],
            document["market"],
            document["model_type"],
            document["status"],
            document["target"],
            (document["metrics"] or {}).get("f1_score"),
            document["certified"],
        )
        for document in documents
    ]
    print_table("models", ("id", "name", "market", "type", "status", "predicts", "F1 out of fold", "certified"), rows)


def _export(model: str, target: Path, *, as_json: bool) -> None:
    app = open_application()
    record = app.models.get(model_key(model))
    load_model(record, app.models)  # verifies what is about to be written
    data = app.models.artifact(str(record.artifact_sha256))
    target.write_bytes(data)
    _print_result(
        {"model_id": record.id, "path": str(target), "bytes": len(data), "sha256": sha256_bytes(data)}, as_json=as_json
    )


@click.command("reproduce")
@click.argument("model")
@json_option
def reproduce_command(model: str, *, as_json: bool) -> None:
    """Train MODEL (id or name) again from its stored specification and data, and compare the artifacts byte by byte.

    Nothing is stored. Exits with 1 and the reason if the market data or the features have changed since, or if the
    bytes differ.
    """
    document = _reproduced(model)
    if as_json:
        print_json(document)
    else:
        click.echo(
            f"model {document['model_id']} is reproduced: the artifact trained again has the same "
            f"{document['bytes']:,} bytes, SHA-256 {document['sha256']}"
        )


@click.command("retrain")
@click.argument("model")
@click.option("--name", help="Of the new model; else MODEL's with the next free number behind it.")
@click.option("--start", metavar="TIME", help="Learn from this moment on, ISO 8601, instead of MODEL's period.")
@click.option("--end", metavar="TIME", help="Learn up to this moment, inclusive.")
@json_option
def retrain_command(model: str, name: str | None, start: str | None, end: str | None, *, as_json: bool) -> None:
    """Train a new model by the specification of MODEL (id or name), such as one taken over without an artifact."""
    app = open_application()
    record = app.models.get(model_key(model))
    first, last = (None if text is None else to_datetime(parse_timestamp(text)) for text in (start, end))
    spec = specification_again(record, app.models, name=name, train_start=first, train_end=last)
    with progress_bar("train") as progress:
        trained = train(spec, app.training, progress=progress)
    if as_json:
        print_json(model_document(trained))
    else:
        print_model(trained)


def _reproduce(model: str, *, as_json: bool) -> None:
    document = _reproduced(model)
    _print_result({name: document[name] for name in ("model_id", "reproduced", "sha256")}, as_json=as_json)


def _reproduced(model: str) -> dict[str, Any]:
    app = open_application()
    record = app.models.get(model_key(model))
    if record.status != "READY":
        raise ConflictError("model.nothing_to_reproduce", name=record.name, status=record.status)
    with progress_bar("reproduce") as progress:
        artifact = reproduce(record.id, app.markets, app.models, progress)
    found = sha256_bytes(artifact)
    if found != record.artifact_sha256:
        raise KurswerkError(
            "model.not_reproduced",
            name=record.name,
            found=found[:12],
            registered=str(record.artifact_sha256)[:12],
            versions=dict(record.library_versions),
        )
    return {"model_id": record.id, "name": record.name, "reproduced": True, "bytes": len(artifact), "sha256": found}


def _delete(model: str, *, as_json: bool) -> None:
    app = open_application()
    record = app.models.get(model_key(model))
    app.models.delete(record.id)
    _print_result({"model_id": record.id, "name": record.name, "deleted": True}, as_json=as_json)


def _print_result(document: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(document)
    else:
        click.echo(", ".join(f"{key} {value}" for key, value in document.items()))


command = CommandGroup(models, [reproduce_command, retrain_command])
