"""A file that HDF5 can fill while the disk runs full."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class PatientFile(io.FileIO):
    """Takes writes after one has failed, drops them, and remembers why.

    HDF5 cannot close a file that it failed to write: it prints tracebacks and may crash the
    interpreter at exit. Given this, it notices nothing; whoever fills the file calls `check`.
    """

    error: OSError | None = None

    def write(self, data: ReadableBuffer) -> int:
        view = memoryview(data).cast("B")
        written = 0
        try:
            while self.error is None and written < len(view):
                written += super().write(view[written:]) or 0
        except OSError as error:
            self.error = error
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        try:
            if self.error is None:
                return super().truncate(size)
        except OSError as error:
            self.error = error
        return size or 0

    def check(self) -> None:
        """Raise the OSError of the first write that failed."""
        if self.error is not None:
            raise self.error
