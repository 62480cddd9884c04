"""One file per page; this is their order in the menu."""

from typing import Final

from kurswerk.dashboard.callbacks.pages import PageDefinition
from kurswerk.dashboard.pages import (
    compare,
    data,
    instrument,
    job,
    jobs,
    live,
    model,
    models,
    new_model,
    overview,
    quality,
    system,
    test,
    watchlists,
)

PAGES: Final[tuple[PageDefinition, ...]] = (
    overview.PAGE,
    data.PAGE,
    watchlists.PAGE,
    instrument.PAGE,
    instrument.FORMER_PAGE,
    quality.PAGE,
    models.PAGE,
    new_model.PAGE,
    model.PAGE,
    test.PAGE,
    compare.PAGE,
    jobs.PAGE,
    job.PAGE,
    live.PAGE,
    system.PAGE,
)
