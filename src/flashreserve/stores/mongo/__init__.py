"""The clustered engine's store: MongoDB, with intents and guarded writes of single documents."""

from flashreserve.stores.mongo.inspection import Inspection, inspect_mongo
from flashreserve.stores.mongo.store import MongoStore, open_mongo

__all__ = ["Inspection", "MongoStore", "inspect_mongo", "open_mongo"]
