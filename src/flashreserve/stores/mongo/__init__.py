"""The clustered engine's store: MongoDB, with intents and guarded writes of single documents."""

from flashreserve.stores.mongo.inspection import ServerInspection, inspect_mongo
from flashreserve.stores.mongo.store import MongoStore, open_mongo

__all__ = ["MongoStore", "ServerInspection", "inspect_mongo", "open_mongo"]
