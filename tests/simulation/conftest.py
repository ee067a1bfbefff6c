"""A real database, to compare with the simulated one."""

from tests.mongo.databases import database, url

__all__ = ["database", "url"]
