"""The clustered engine's store: MongoDB, with intents and guarded writes of single documents."""

from flashreserve.stores.mongo.store import MongoStore, open_mongo

__all__ = ["MongoStore", "open_mongo"]
