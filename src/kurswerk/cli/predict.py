"""``kurswerk predict``: from a coin's latest stored row."""

import click

from kurswerk.bootstrap.application import open_application
from kurswerk.cli._options import model_key
from kurswerk.cli._output import json_option, print_json
from kurswerk.cli._terminal import print_table
from kurswerk.core.timestamps import format_timestamp, parse_timestamp
from kurswerk.market import DEFAULT_MARKET, MARKETS
from kurswerk.serving import predict_instrument


@click.command("predict")
@click.argument("coin")
@click.option("--model", "names", multiple=True, help="Id or name; may be given several times. All READY by default.")
@click.option(
    "--market",
    type=click.Choice(list(MARKETS)),
    default=DEFAULT_MARKET,
    show_default=True,
    help="Whose READY models predict where none are named; named ones have their market.",
)
@click.option("--at", "moment", metavar="TIME", help="Use only what was known at this moment.")
@json_option
def command(coin: str, names: tuple[str, ...], market: str, moment: str | None, *, as_json: bool) -> None:
    """Predict from COIN's latest stored row with all READY models or those named."""
    at_us = None if moment is None else parse_timestamp(moment)
    app = open_application()
    records = [app.models.get(model_key(name)) for name in names] or list(
        app.models.find(status="READY", market=market, limit=1000)
    )
    found = predict_instrument(coin, records, app.markets, app.models, at_us=at_us)
    if as_json:
        print_json(
            {
                "coin_id": found.coin_id,
                "timestamp": format_timestamp(found.timestamp_us),
                "predictions": [vars(prediction) for prediction in found.predictions],
            }
        )
        return
    rows = [
        (
            prediction.model_id,
            prediction.model_name,
            "yes" if prediction.prediction else "no",
            prediction.probability,
            "alert" if prediction.alert_triggered else "",
            "yes" if prediction.in_scope else "no",
            len(prediction.missing_features),
            prediction.forecast,
            "" if prediction.forecast is None else f"{prediction.low:+.3g} … {prediction.high:+.3g}",
        )
        for prediction in found.predictions
    ]
    header = (
        "id",
        "model",
        "comes true?",
        "probability",
        "alert",
        "in scope?",
        "features missing",
        "forecast, %",
        "interval",
    )
    print_table(f"{found.coin_id}, row of {format_timestamp(found.timestamp_us)}", header, rows)
