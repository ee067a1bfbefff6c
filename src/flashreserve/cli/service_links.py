"""Variables that Kubernetes sets in every container beside a Service whose name begins with `flashreserve`.

They look like settings (`FLASHRESERVE_PORT=tcp://10.0.0.1:3000`) and are none; see "Discovering services" in the
documentation of Kubernetes.
"""

import re
from collections.abc import Mapping
from typing import Final

ADVICE: Final = "set enableServiceLinks: false in the pod's spec, or give the Service another name"

_NAME: Final = re.compile(
    r"FLASHRESERVE(_[A-Z0-9_]+)?_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_PORT_NAME: Final = re.compile(r"FLASHRESERVE(_[A-Z0-9_]+)?_PORT")
_PORT_VALUE: Final = re.compile(r"(tcp|udp|sctp)://\S+")


def service_links(environment: Mapping[str, str]) -> list[str]:
    """The names of such variables, sorted."""
    return sorted(name for name, value in environment.items() if _is_link(name, value))


def _is_link(name: str, value: str) -> bool:
    if _NAME.fullmatch(name):
        return True
    return _PORT_NAME.fullmatch(name) is not None and _PORT_VALUE.fullmatch(value) is not None
