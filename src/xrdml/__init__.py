"""xrdml: predict the reflections a crystal did not give.

Importing the package loads nothing heavy: cctbx must be the first C++ library of its process
and torch must never share one with it, so every sub-package imports what it needs itself.
"""

__version__ = "0.1.0.dev0"
