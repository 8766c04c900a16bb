"""SIGTERM while training: noted, so that the step at hand is finished and saved before the process ends."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class StopSignal:
    """Notes SIGTERM while it is entered, instead of ending the process; then what was there before serves again.

    A launcher and the system often both send it, so a second one changes nothing; SIGINT ends the process at once.
    """

    def __init__(self) -> None:
        self.received = False
        self._before: Any = None

    def __enter__(self) -> "StopSignal":
        # Python hands signals to the main thread alone; elsewhere somebody else decides.
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._note) or signal.SIG_DFL
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = True
