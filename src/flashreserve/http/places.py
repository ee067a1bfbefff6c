"""Places: the path of a request, and the prefix under which clients see this service."""

from typing import Final

import msgspec

NO_PREFIX: Final = ""


class Place(msgspec.Struct, frozen=True, gc=False):
    """A request's path here, without the prefix, and the prefix: a proxy may show the service as part of a site.

    Every address that an answer has begins with the prefix.
    """

    path: str
    prefix: str = NO_PREFIX

    @property
    def shown(self) -> str:
        """The path as clients know it."""
        return self.prefix + self.path


def without_prefix(path: str, prefix: str) -> str:
    """The path here of a path that was sent. Some proxies strip the prefix, and some don't."""
    if not prefix or not path.startswith(prefix):
        return path
    rest = path[len(prefix) :]
    if not rest:
        return "/"
    return rest if rest[0] == "/" else path
