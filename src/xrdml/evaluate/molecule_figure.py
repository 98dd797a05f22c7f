"""A picture of what was solved: atoms, bonds and names, seen along the thinnest direction."""

from __future__ import annotations

from pathlib import Path

import gemmi
import matplotlib
import numpy as np
from numpy.typing import NDArray

matplotlib.use("Agg")  # no display is needed, and none may be there

from matplotlib import pyplot as plt
from matplotlib.collections import LineCollection

from xrdml.crystal.connectivity import Assembled, assemble
from xrdml.crystal.files import replace_when_done
from xrdml.crystal.shelx_atoms import atom_labels
from xrdml.crystal.structure import Structure

COLOURS = {
    "H": "#e8e8e8", "B": "#e8a898", "C": "#707070", "N": "#5070e0", "O": "#e04040", "F": "#80c040",
    "Si": "#d0a860", "P": "#e08830", "S": "#e0c030", "Cl": "#40b040", "Br": "#a04030", "I": "#804090",
}  # fmt: skip
"""As viewers paint elements; all others are violet."""
OTHER = "#a070c0"

INCHES_PER_ANGSTROM = 0.45
LONGEST = 14.0
"""Inches; larger crystals are drawn to a smaller scale."""


def draw_molecule(path: str | Path, structure: Structure, title: str = "") -> None:
    """Write a PNG of the molecules of a structure; symmetry images that complete them are pale.

    Raises
    ------
    UserError
        The file cannot be written.
    """
    drawn = assemble(structure)
    flat = projection(drawn.xyz)
    low, high = flat[:, :2].min(0) - 1.2, flat[:, :2].max(0) + 1.2
    size = (high - low) * INCHES_PER_ANGSTROM
    size *= min(1.0, LONGEST / size.max())
    figure, axis = plt.subplots(figsize=np.maximum(size, 3.0).tolist(), layout="constrained")
    _bonds(axis, drawn, flat)
    _atoms(axis, drawn, flat, structure)
    axis.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
    axis.set_axis_off()
    axis.set_title(title, fontsize=9)
    with replace_when_done(path) as temporary:
        figure.savefig(temporary, dpi=150, format="png")
    plt.close(figure)


def projection(xyz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coordinates (n, 3) Å along the principal axes, largest variance first; a rotation, no mirror."""
    return (xyz - xyz.mean(0)) @ principal_axes(xyz)


def principal_axes(xyz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Directions of largest, middle and least variance as columns, (3, 3); a rotation."""
    centred = xyz - xyz.mean(0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, ::-1].copy()
    if np.linalg.det(axes) < 0:
        axes[:, 2] *= -1
    return axes


def _bonds(axis: plt.Axes, drawn: Assembled, flat: NDArray[np.float64]) -> None:
    for pale in (True, False):
        chosen = drawn.is_image[drawn.bonds].any(1) == pale
        lines = flat[drawn.bonds[chosen]][:, :, :2]
        axis.add_collection(
            LineCollection(list(lines), colors="#404040", linewidths=2, alpha=0.3 if pale else 1, zorder=1)
        )


def _atoms(axis: plt.Axes, drawn: Assembled, flat: NDArray[np.float64], structure: Structure) -> None:
    labels = atom_labels(structure)
    for i in np.argsort(flat[:, 2]).tolist():
        number = int(structure.numbers[drawn.atom[i]])
        element = gemmi.Element(number)
        axis.add_patch(
            plt.Circle(
                (flat[i, 0], flat[i, 1]),
                0.3 * element.covalent_r,
                facecolor=COLOURS.get(element.name, OTHER),
                edgecolor="black",
                linewidth=0.6,
                alpha=0.3 if drawn.is_image[i] else 1,
                zorder=2,
            )
        )
        if not drawn.is_image[i]:
            axis.annotate(
                labels[drawn.atom[i]],
                (flat[i, 0], flat[i, 1]),
                (4, 4),
                textcoords="offset points",
                fontsize=7,
                zorder=3,
            )
