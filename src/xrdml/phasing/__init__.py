"""Phases from amplitudes: iterative projections with a learned density prior."""
