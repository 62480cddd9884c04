"""New rows of a market: where they come from, who has leased them, and the transaction that predicts them."""

from kurswerk.storage.feed._session import PostgresFeedSession
from kurswerk.storage.feed._source import begin_feed, has_active_models, install_feed, remove_feed

__all__ = ["PostgresFeedSession", "begin_feed", "has_active_models", "install_feed", "remove_feed"]
