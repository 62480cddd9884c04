"""The predictor run as the service runs it."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from feed_lanes import stored
from kurswerk.bootstrap.predictor_part import part
from kurswerk.bootstrap.service import Service
from kurswerk.bootstrap.settings import Settings
from kurswerk.observability import Metrics
from kurswerk.storage.server import Database


def predict_live(database: Database, folder: Path, write: Callable[[], object], count: int) -> None:
    """Run the predictor, write rows, and return once so many predictions are stored."""
    predictor = part(Service(Settings(data_dir=folder, database_url=database.url), database, Metrics()))

    async def serve() -> None:
        stop = asyncio.Event()
        running = asyncio.create_task(predictor.run(stop))
        await predictor.ready.wait()
        await asyncio.to_thread(write)
        async with asyncio.timeout(600):
            while len(stored(database)) < count:
                await asyncio.sleep(0.05)
        stop.set()
        await running

    asyncio.run(serve())
