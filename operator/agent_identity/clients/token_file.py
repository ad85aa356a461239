"""A projected token, read again when the kubelet has renewed it."""

from pathlib import Path

from agent_identity.api.conditions import Reason
from agent_identity.core.errors import Failed


class TokenFile:
    """Reads the file only when its modification time has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = -1
        self._token = ""

    def read(self) -> str:
        """The token. Raises Failed where the file can't be read."""
        try:
            at = self._path.stat().st_mtime_ns
            if at != self._at:
                self._token = self._path.read_text().strip()
                self._at = at
        except OSError as error:
            detail = f"can't read the token file {self._path}: {error.strerror}"
            raise Failed(Reason.LOGIN_REFUSED, detail) from error
        return self._token
