"""xrdml: predict the reflections a crystal did not give.

Five calls do what the commands do (docs/api.md): `simulate`, `load`, `fill`, `solve`, `report`.

Importing the package loads nothing heavy: cctbx must be the first C++ library of its process
and torch must never share one with it, so every sub-package imports what it needs itself.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from xrdml.api import Crystal, fill, load, report, simulate, solve

__all__ = ["Crystal", "fill", "load", "report", "simulate", "solve"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from xrdml import api

        return getattr(api, name)
    raise AttributeError(f"module 'xrdml' has no attribute '{name}'")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
