"""Crystals as tensors: (input, target, masks) at any resolution, computed where the network trains."""
