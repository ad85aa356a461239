"""What starts and stops is a context manager, and a failed start leaves nothing running."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Lifecycle(ABC):
    """A `with` block around `start` and `stop`."""

    @abstractmethod
    def start(self) -> None:
        """Returns once everything answers, unless the class says otherwise."""

    @abstractmethod
    def stop(self) -> None:
        """Stops what is running, also after a start that got halfway."""

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
