"""A container's health check without a shell or curl: ``python -m erasurehead.monitoring.probe``.

Asks ``/healthz`` (or the path given) at the address in ``ERASUREHEAD_HTTP__BIND`` and exits 0 if
the answer is 200.
"""

from __future__ import annotations

import http.client
import os
import sys

LIMIT_S = 4.0


def main(path: str = "/healthz") -> int:
    """Return 0 if the process beside us answers 200."""
    bind = os.environ.get("ERASUREHEAD_HTTP__BIND", "")
    host, _, port = bind.rpartition(":")
    everywhere = host in ("", "0.0.0.0", "[::]")
    connection = http.client.HTTPConnection(
        "127.0.0.1" if everywhere else host.strip("[]"), int(port or 0), timeout=LIMIT_S
    )
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        sys.stdout.write(answer.read(4096).decode(errors="replace"))
    except (OSError, http.client.HTTPException) as error:
        sys.stdout.write(f"no answer from {bind or 'ERASUREHEAD_HTTP__BIND (not set)'}: {error}\n")
        return 1
    finally:
        connection.close()
    return 0 if answer.status == http.client.OK else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
