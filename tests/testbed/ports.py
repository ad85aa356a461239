"""Ports on 127.0.0.1 that a server can be stopped on and started on again."""

import random
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from testbed.waiting import HopelessError

T = TypeVar("T")

LOOPBACK = "127.0.0.1"
LOWEST = 15000
TRIES = 5
_handed_out: set[int] = set()
_random = random.SystemRandom()


class ProcessDied(HopelessError):
    """A server ended while somebody waited for it."""


class PortTaken(ProcessDied):
    """Somebody else took the port between picking it and listening on it."""


def _first_ephemeral_port() -> int:
    return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])


def free_port() -> int:
    """A port below the range that the kernel hands to outgoing connections.

    While a server is stopped, a client that keeps dialling a port of that range may
    connect to itself, or be given the port, and the server can't come back.
    """
    highest = max(_first_ephemeral_port(), LOWEST + 1000)
    while True:
        port = _random.randrange(LOWEST, highest)
        if port not in _handed_out and _bindable(port):
            _handed_out.add(port)
            return port


def _bindable(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def on_free_ports(count: int, start: Callable[..., T]) -> T:
    """What `start(*ports)` returns, with other ports when one was taken meanwhile."""
    for _ in range(TRIES - 1):
        try:
            return start(*(free_port() for _ in range(count)))
        except PortTaken:
            continue
    return start(*(free_port() for _ in range(count)))
