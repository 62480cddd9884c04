"""Alerts that were raised, the rules that send messages about them, and what became of those."""

from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from kurswerk.alerts import ChannelKind, create_rule
from kurswerk.api._dependencies import Ports
from kurswerk.api._openapi import errors
from kurswerk.api.schemas._base import LARGEST_ID
from kurswerk.api.schemas.alert_rules import (
    AlertRuleChange,
    AlertRuleRead,
    AlertRules,
    DeliveryPage,
    DeliveryQuery,
    DeliveryRead,
    SecretReplace,
    alert_rule_body,
)
from kurswerk.api.schemas.predictions import AlertPage, AlertQuery, AlertRead

router = APIRouter(prefix="/api", tags=["predictions"])

RuleId = Annotated[int, Path(ge=1, le=LARGEST_ID, description="A rule's id.")]
DeliveryId = Annotated[int, Path(ge=1, le=LARGEST_ID, description="A message's id.")]


@router.get("/alerts", responses=errors())
def list_alerts(query: Annotated[AlertQuery, Query()], ports: Ports) -> AlertPage:
    """List alerts, newest first: predictions whose probability reached their model's threshold."""
    rows = ports.predictions.alerts(query.chosen(), query.limit, query.offset)
    return AlertPage(alerts=AlertRead.all_of(rows), limit=query.limit, offset=query.offset)


@router.get("/alerts/deliveries", responses=errors())
def list_alert_deliveries(query: Annotated[DeliveryQuery, Query()], ports: Ports) -> DeliveryPage:
    """List the messages that rules called for, newest first, and what became of them."""
    rows = ports.alerts.deliveries(query.limit, query.offset, query.chosen())
    return DeliveryPage(deliveries=DeliveryRead.all_of(rows), limit=query.limit, offset=query.offset)


@router.post("/alerts/deliveries/{delivery_id:int}/retry", responses=errors(404, 409))
def retry_alert_delivery(delivery_id: DeliveryId, ports: Ports) -> DeliveryRead:
    """Send a message that was given up once more, with the same idempotency key and as many tries as a new one."""
    return DeliveryRead.model_validate(ports.alerts.retry(delivery_id))


@router.get("/alerts/rules", responses=errors())
def list_alert_rules(ports: Ports) -> AlertRules:
    """List the rules that send messages; their secrets are never shown."""
    return AlertRules(rules=AlertRuleRead.all_of(ports.alerts.rules()))


@router.patch("/alerts/rules/{rule_id:int}", responses=errors(404, 413))
def change_alert_rule(rule_id: RuleId, change: AlertRuleChange, ports: Ports) -> AlertRuleRead:
    """Switch a rule on or off."""
    return AlertRuleRead.model_validate(ports.alerts.switch_rule(rule_id, active=change.is_active))


@router.post("/alerts/rules/{rule_id:int}/secret", responses=errors(404, 413))
def replace_alert_rule_secret(rule_id: RuleId, change: SecretReplace, ports: Ports) -> AlertRuleRead:
    """Give a rule another secret; webhooks are signed by the one before as well until receivers know the new one."""
    return AlertRuleRead.model_validate(ports.alerts.replace_secret(rule_id, change.secret, change.grace_seconds))


@router.delete("/alerts/rules/{rule_id:int}", status_code=204, responses=errors(404))
def delete_alert_rule(rule_id: RuleId, ports: Ports) -> None:
    """Remove a rule with its messages."""
    ports.alerts.delete_rule(rule_id)


def creation_router(kinds: Iterable[ChannelKind]) -> APIRouter:
    """Return the call that makes a rule; its body depends on which channels there are."""
    creation = APIRouter(prefix="/api", tags=["predictions"])

    def create_alert_rule(rule: Any, ports: Ports) -> AlertRuleRead:
        """Add a rule: when enough models reach a probability on a row, a message is sent, at least once."""
        given = rule.model_dump()
        return AlertRuleRead.model_validate(create_rule(given, ports.alerts, ports.models, ports.channels))

    # FastAPI reads the body's type here; it is known only once the channels are.
    create_alert_rule.__annotations__["rule"] = alert_rule_body(kinds)
    creation.post("/alerts/rules", status_code=201, responses=errors(409, 413))(create_alert_rule)
    return creation
