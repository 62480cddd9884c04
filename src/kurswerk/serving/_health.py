"""Whether somebody predicts, and from all that models read."""

from collections.abc import Sequence
from dataclasses import asdict

from kurswerk.core.messages import Message
from kurswerk.observability import Check
from kurswerk.serving._input_columns import MissingColumn, missing_columns_message


def predictors_check(alive: int, active_models: int) -> Check:
    """Check for predictors; without one no row is lost, but predictions wait.

    Parameters
    ----------
    alive
        Predictors that sent a heartbeat lately.
    active_models
        Models that should predict every row.

    Examples
    --------
    >>> predictors_check(0, active_models=2).status
    'degraded'
    """
    details = {"alive": alive}
    if active_models and not alive:
        return Check("degraded", Message("health.no_predictor", count=active_models), details)
    models = Message("health.active_models", count=active_models)
    return Check("ok", Message("health.predictors", count=alive, models=models), details)


def inputs_check(missing: Sequence[MissingColumn]) -> Check:
    """Report columns that active models need and the database lacks; predictions go on without them.

    Examples
    --------
    >>> inputs_check([]).status
    'ok'
    """
    if not missing:
        return Check("ok", Message("market.columns_complete"))
    # Without its key a market stands still: that comes first.
    reported = [one for one in missing if one.is_key] or missing
    models = {model for one in reported for model in one.model_ids}
    details = {"missing_columns": [asdict(one) for one in missing]}
    columns = [(one.table, one.column) for one in reported]
    if reported[0].is_key:
        names = [f"{table}.{column}" for table, column in columns]
        return Check("degraded", Message("market.keys_missing", columns=names, count=len(models)), details)
    return Check("degraded", missing_columns_message(columns, len(models)), details)
