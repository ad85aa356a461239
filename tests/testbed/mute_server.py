"""A server that takes every connection and never says a word."""

import socket
import time

from testbed.lifecycle import Lifecycle
from testbed.ports import LOOPBACK

# That one client ends and the next one begins is not seen in one moment.
WAITING_SECONDS = 0.5
_BYTES = 4096


class MuteServer(Lifecycle):
    """Accepts when it is asked who waits; until then the kernel does."""

    def start(self) -> None:
        self._listener = socket.create_server((LOOPBACK, 0), backlog=socket.SOMAXCONN)
        self._listener.setblocking(False)
        self._since: dict[socket.socket, float] = {}

    def stop(self) -> None:
        for connection in (*self._since, self._listener):
            connection.close()

    @property
    def address(self) -> str:
        return f"https://{LOOPBACK}:{self._listener.getsockname()[1]}"

    @property
    def waiting(self) -> int:
        """How many clients have been without an answer for WAITING_SECONDS."""
        self._accept()
        for connection in [each for each in self._since if _ended(each)]:
            del self._since[connection]
            connection.close()
        now = time.monotonic()
        return sum(now - since > WAITING_SECONDS for since in self._since.values())

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except BlockingIOError:
                return
            connection.setblocking(False)
            self._since[connection] = time.monotonic()


def _ended(connection: socket.socket) -> bool:
    """By its client; what that has said is thrown away."""
    try:
        while connection.recv(_BYTES):
            pass
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    return True
