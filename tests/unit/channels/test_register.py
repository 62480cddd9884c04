"""The register of channels: what rules, schemas and forms derive from it."""

import pytest
from pydantic import TypeAdapter, ValidationError

from kurswerk.alerts import check_rule
from kurswerk.api.schemas.predictions import alert_rule_body
from kurswerk.channels import CHANNELS, KINDS, open_channels
from kurswerk.core.errors import SpecError, UnknownNameError

BODY = TypeAdapter(alert_rule_body(KINDS.values()))


def test_every_channel_has_a_name_of_its_own_and_opens():
    assert len(KINDS) == len(CHANNELS)
    assert {name: channel.kind for name, channel in open_channels().items()} == KINDS


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_rule_check_and_request_schema_ask_for_the_same_target(kind):
    rule = {"name": "r", "channel": kind.name, "target": kind.target_example, "secret": kind.secret}
    check_rule(rule, KINDS)
    assert BODY.validate_python(rule).channel == kind.name
    for wrong in (None, "ftp://example.org/"):
        if kind.target_prefixes:
            with pytest.raises(SpecError, match=f"channel {kind.name} needs a target"):
                check_rule(rule | {"target": wrong}, KINDS)
            with pytest.raises(ValidationError):
                BODY.validate_python(rule | {"target": wrong})
        else:
            check_rule(rule | {"target": wrong}, KINDS)
            BODY.validate_python(rule | {"target": wrong})


@pytest.mark.parametrize("kind", [kind for kind in KINDS.values() if kind.secret_required], ids=lambda kind: kind.name)
def test_a_secret_that_is_needed_is_asked_for_by_both(kind):
    rule = {"name": "r", "channel": kind.name, "target": kind.target_example}
    with pytest.raises(SpecError, match=f"channel {kind.name} needs a secret: {kind.secret}"):
        check_rule(rule, KINDS)
    with pytest.raises(ValidationError, match="secret"):
        BODY.validate_python(rule)


def test_an_unregistered_channel_is_refused_with_those_there_are():
    with pytest.raises(UnknownNameError, match="did you mean 'webhook'"):
        check_rule({"name": "r", "channel": "webhok"}, KINDS)
    with pytest.raises(ValidationError, match="webhook"):
        BODY.validate_python({"name": "r", "channel": "webhok"})
