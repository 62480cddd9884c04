"""Taking over the tables of an older installation: found, set aside under another schema, copied into ours."""

from kurswerk.storage.adoption._adopt import AdoptedTable, Adoption, adopt, plan_adoption
from kurswerk.storage.adoption._models import AdoptedModel
from kurswerk.storage.adoption._old_tables import KEPT_IN

__all__ = ["KEPT_IN", "AdoptedModel", "AdoptedTable", "Adoption", "adopt", "plan_adoption"]
