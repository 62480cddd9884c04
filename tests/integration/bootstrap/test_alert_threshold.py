"""``DEFAULT_ALERT_THRESHOLD`` holds for models that are ordered over REST, n8n or the dashboard too."""

from unittest.mock import MagicMock

import pytest

from kurswerk.bootstrap import api_part
from kurswerk.bootstrap.service import Service
from kurswerk.bootstrap.settings import read_settings
from kurswerk.observability import Metrics
from kurswerk.registry import NewModel
from kurswerk.storage.registry import PostgresModelStore
from memory_market import a_spec


@pytest.mark.parametrize(("environment", "threshold"), [({"DEFAULT_ALERT_THRESHOLD": "0.9"}, 0.9), ({}, 0.7)])
def test_an_ordered_model_begins_with_the_threshold_of_the_settings(
    database, monkeypatch, tmp_path, environment, threshold
):
    built = []
    make = api_part.create_app
    monkeypatch.setattr(
        api_part, "create_app", lambda services, options: built.append(services) or make(services, options)
    )
    monkeypatch.setattr(api_part, "bind", MagicMock())
    monkeypatch.setattr(api_part, "ApiPart", MagicMock())
    settings = read_settings({"KURSWERK_DATA_DIR": str(tmp_path), **environment}, tmp_path)
    api_part.part(Service(settings, database, Metrics()))
    model_id = built[0].models.create(NewModel(a_spec().as_json()))
    assert PostgresModelStore(database).get(model_id).alert_threshold == threshold
