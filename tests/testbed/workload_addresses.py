"""Loopback addresses of pods: each is one pod's only, whatever else runs on this machine."""

import random
import socket
from typing import Self

# Outside of what `free_port` hands out; nobody serves on it. Who listens there has the address.
CLAIM_PORT = 14999
_random = random.SystemRandom()


class Address:
    """127.x.y.z, ours until it is given back or the process ends: the kernel keeps the account."""

    def __init__(self, ip: str, claim: socket.socket) -> None:
        self.ip = ip
        self._claim = claim

    @classmethod
    def take(cls) -> Self:
        while True:
            # Not 127.0.0.*, where servers that were not told better listen.
            octets = (_random.randrange(low, 255) for low in (1, 0, 1))
            ip = ".".join(["127", *map(str, octets)])
            claim = socket.socket()
            try:
                claim.bind((ip, CLAIM_PORT))
            except OSError:
                claim.close()
                continue
            claim.listen()
            return cls(ip, claim)

    def give_back(self) -> None:
        self._claim.close()
