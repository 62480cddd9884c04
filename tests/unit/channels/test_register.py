"""The register of channels: what rules, schemas and forms derive from it."""

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from kurswerk.alerts import check_rule
from kurswerk.api.schemas.alert_rules import alert_rule_body
from kurswerk.channels import CHANNELS, KINDS, open_channels
from kurswerk.core.errors import SpecError, UnknownNameError

BODY = TypeAdapter(alert_rule_body(KINDS.values()))
DOCUMENTED = jsonschema_rs.validator_for(BODY.json_schema())


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


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "target": st.sampled_from([None, "https://a.test/x", "smtp://a.test/b@c", "telegram://5", "a b", 5, ""]),
            "secret": st.sampled_from([None, "s", "", 5]),
            "quiet_start": st.sampled_from([None, "22:00:00Z", 22]),
            "quiet_end": st.sampled_from([None, "06:00:00Z"]),
            "min_probability": st.sampled_from([None, 0, 0.5, 1, -0.1, 1.1, "0.5", True]),
            "least_agreeing": st.sampled_from([1, 1000, 1001, 0, 2.5, True]),
        },
    )
)
def test_the_documented_schema_accepts_what_the_service_accepts(kind, fields):
    """Held against a validator that shares no code with pydantic; `model_ids` are left out, which it cannot count."""
    rule = {"name": "r", "channel": kind.name, **fields}
    try:
        check_rule(BODY.validate_python(rule).model_dump(), KINDS)
        accepted = True
    except (ValidationError, SpecError):
        accepted = False
    assert DOCUMENTED.is_valid(rule) == accepted


def test_an_unregistered_channel_is_refused_with_those_there_are():
    with pytest.raises(UnknownNameError, match="did you mean 'webhook'"):
        check_rule({"name": "r", "channel": "webhok"}, KINDS)
    with pytest.raises(ValidationError, match="webhook"):
        BODY.validate_python({"name": "r", "channel": "webhok"})
