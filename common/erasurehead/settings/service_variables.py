"""Variables that Kubernetes gives every pod for each Service of its namespace.

A Service named ``erasurehead-master`` makes ``ERASUREHEAD_MASTER_SERVICE_HOST`` and, among others,
``ERASUREHEAD_MASTER_PORT=tcp://10.0.0.7:5577``, which look like settings and are none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_HOST = "_SERVICE_HOST"
_OTHERS = re.compile(
    r"_SERVICE_HOST|_SERVICE_PORT(_\w+)?|_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?"
)


def service_variables(names: Iterable[str]) -> set[str]:
    """Return those variables that stand for a Service whose host is among them."""
    given = list(names)
    services = [name.removesuffix(_HOST) for name in given if name.endswith(_HOST)]
    return {
        name
        for name in given
        for service in services
        if name.startswith(service) and _OTHERS.fullmatch(name[len(service) :])
    }
