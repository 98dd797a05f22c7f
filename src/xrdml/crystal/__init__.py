"""Crystals and reflections in NumPy: no torch, no cctbx."""
