"""The process of the operator."""

import asyncio
import os
import sys
from asyncio import sslproto

from agent_identity.replica import Replica
from agent_identity.settings import SettingsError, read_settings
from agent_identity.telemetry import log, set_up_logging


def main() -> None:
    """Entry point; exit code 2 for wrong settings, 1 where anything but a signal ends it."""
    try:
        settings = read_settings(os.environ)
    except SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201  logging is not set up yet
        raise SystemExit(2) from None
    set_up_logging(settings.log_level)
    log.info("agent-identity-operator starts for cluster %s", settings.cluster_name)
    # A record of TLS is 16 KiB at most, and asyncio fills 256 KiB with zeros for each connection.
    sslproto.SSLProtocol.max_size = 2 * 16 * 1024
    # Not uvloop: it sends past the socket that asks the fence (clients/lease.py).
    asyncio.run(Replica(settings).run())


if __name__ == "__main__":
    main()
