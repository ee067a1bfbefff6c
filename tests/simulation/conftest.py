"""A real database, to compare the simulated one with."""

from tests.mongo.databases import database, url

__all__ = ["database", "url"]
