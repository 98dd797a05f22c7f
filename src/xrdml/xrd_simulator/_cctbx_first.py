"""Import this before anything else in a process that uses cctbx.

cctbx must be the first C++ library of its process: after torch, gemmi, rdkit, scipy or matplotlib
its extensions crash. torch must never come at all: beside cctbx it silently computes wrong numbers
with more than one thread.
"""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder

_NOT_BEFORE = ("torch", "gemmi", "rdkit", "scipy", "matplotlib")
_WHAT_TO_DO = (
    "cctbx runs in a process of its own: call xrdml.xrd_simulator.simulate.simulate, which starts them, "
    "or start a fresh Python whose first import is xrdml.xrd_simulator._cctbx_first"
)


class _RefuseTorch(MetaPathFinder):
    """Makes `import torch` fail loudly in this process."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname == "torch":
            raise ImportError(f"torch computes wrong numbers in a process that has cctbx; {_WHAT_TO_DO}")


def _check_process() -> None:
    if "torch" in sys.modules:
        raise ImportError(f"torch is loaded in this process, so cctbx may not be; {_WHAT_TO_DO}")
    early = [name for name in _NOT_BEFORE if name in sys.modules]
    if early and "cctbx" not in sys.modules:
        raise ImportError(f"{', '.join(early)} came before cctbx, which would crash; {_WHAT_TO_DO}")


_check_process()

from cctbx.array_family import flex  # noqa: E402, F401

sys.meta_path.insert(0, _RefuseTorch())
