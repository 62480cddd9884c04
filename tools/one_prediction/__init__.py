"""Write docs/one-prediction.md: a row's way from INSERT to alert, measured from outside on a real service.

``python -m tools.one_prediction`` starts PostgreSQL and ``kurswerk serve`` with ten active models, inserts rows one by
one and notes when each step is seen: by a listener of the database, a WebSocket client and a receiver of webhooks.
``--rows N`` measures fewer.
"""

# Relative imports: the package is run from the root of the repository and imported by tests from tools/.
from ._measuring import Measured, measure
from ._observing import Seen
from ._page import page
from ._statements import statement_times

__all__ = ["Measured", "Seen", "measure", "page", "statement_times"]
