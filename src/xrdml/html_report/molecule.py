"""The atoms of a result, to be turned and measured in the page, and as tables."""

from __future__ import annotations

from pathlib import Path

import gemmi
import numpy as np

from xrdml.crystal.cell import orthogonalization
from xrdml.crystal.connectivity import Assembled, assemble
from xrdml.crystal.shelx_atoms import atom_labels
from xrdml.crystal.structure import Structure
from xrdml.evaluate.molecule_figure import COLOURS, OTHER, principal_axes
from xrdml.html_report.markup import Markup, data_block, details, join, number, picture, table, tag

SCRIPT = "molecule.js"

MOST_ATOMS = 1500
"""More than this turns slowly, and shows nothing."""

_BUTTONS = (("in", "Zoom in"), ("out", "Zoom out"), ("reset", "Reset"))
_TOGGLES = (("labels", "Names"), ("cell", "Unit cell"), ("spin", "Turn"))
_KEYS = (
    ("drag, arrow keys, comma and full stop", "turn"),
    ("pinch, + and −, wheel once the picture is chosen", "zoom"),
    ("click atoms", "one: U; two: distance; three: angle; four: torsion"),
    ("n, p, m", "next or previous atom; add the next atom to the measurement"),
    ("L, C, H, S, 0, Esc", "names, cell, hydrogen atoms, turning; reset; measure nothing"),
)


def molecule_view(structure: Structure, png: bytes | None) -> Markup:
    """Viewer, keys and tables of a structure; too many atoms are only listed.

    Parameters
    ----------
    png
        Picture for readers without scripts.
    """
    drawn = assemble(structure)
    labels = atom_labels(structure)
    listed = (_atoms(structure, labels), _bonds(structure, drawn, labels))
    if len(drawn.atom) > MOST_ATOMS:
        return join([tag("p", f"{len(drawn.atom)} atoms are too many to be drawn here."), listed])
    what = _in_words(structure, drawn)
    canvas = tag(
        "canvas",
        what,
        id="molecule-view",
        tabindex="0",
        role="img",
        aria_label=f"Molecule, three-dimensional: {what} Arrow keys turn it.",
        aria_describedby="molecule-keys",
    )
    buttons = [tag("button", text, type="button", data_action=name) for name, text in _BUTTONS]
    toggles = list(_TOGGLES)
    if (structure.numbers == 1).any():
        toggles.insert(2, ("hydrogens", "H atoms"))
    buttons += [tag("button", text, type="button", data_toggle=name) for name, text in toggles]
    fallback = picture(png, f"Picture of the molecule: {what}") if png else tag("p", "Scripts are off.")
    keys = table(["How", "What"], _KEYS, "Keys and pointer")
    return join(
        [
            tag(
                "div",
                canvas,
                tag("p", class_="picked", id="molecule-picked", role="status", aria_live="polite"),
                tag("div", buttons, class_="controls"),
                class_="viewer",
            ),
            tag("noscript", fallback),
            tag("p", what, " Pale atoms are symmetry images that complete a molecule.", class_="hint"),
            tag("div", details("Keys", keys), id="molecule-keys"),
            *listed,
            data_block("molecule", _data(structure, drawn, labels)),
        ]
    )


def _data(structure: Structure, drawn: Assembled, labels: list[str]) -> dict:
    """What the script draws: Cartesian Å, the axes of the cell, and the first orientation."""
    atoms = []
    for i, row in enumerate(drawn.atom.tolist()):
        element = gemmi.Element(int(structure.numbers[row]))
        atoms.append(
            {
                "label": labels[row],
                "element": element.name,
                "xyz": np.round(drawn.xyz[i], 4).tolist(),
                "u": round(float(structure.u_iso[row]), 4),
                "radius": round(float(element.covalent_r), 3),
                "colour": COLOURS.get(element.name, OTHER),
                "image": bool(drawn.is_image[i]),
            }
        )
    return {
        "atoms": atoms,
        "bonds": drawn.bonds.tolist(),
        "cell": np.round(orthogonalization(structure.cell).T, 4).tolist(),
        "axes": np.round(principal_axes(drawn.xyz).T, 6).tolist(),
    }


def _in_words(structure: Structure, drawn: Assembled) -> str:
    counts: dict[str, int] = {}
    for z in structure.numbers.tolist():
        name = gemmi.Element(z).name
        counts[name] = counts.get(name, 0) + 1
    elements = ", ".join(f"{n} {name}" for name, n in sorted(counts.items()))
    parts = int(drawn.molecule.max(initial=-1)) + 1
    images = int(drawn.is_image.sum())
    more = f", completed by {images} symmetry images" if images else ""
    return (
        f"{len(structure)} atoms in the asymmetric unit ({elements}) in {parts} "
        f"{'part' if parts == 1 else 'parts'} with {len(drawn.bonds)} bonds{more}."
    )


def _atoms(structure: Structure, labels: list[str]) -> Markup:
    rows = [
        (
            label,
            gemmi.Element(int(z)).name,
            *(number(x, ".4f") for x in xyz),
            number(u, ".4f"),
            number(o, "g"),
        )
        for label, z, xyz, u, o in zip(
            labels,
            structure.numbers.tolist(),
            structure.frac.tolist(),
            structure.u_iso.tolist(),
            structure.occupancy.tolist(),
            strict=True,
        )
    ]
    head = ["Atom", "Element", "x", "y", "z", "U(iso) / Å²", "Occupancy"]
    return details(f"{len(rows)} atoms as a table", table(head, rows, "Fractional coordinates"))


def _bonds(structure: Structure, drawn: Assembled, labels: list[str]) -> Markup | None:
    if len(drawn.bonds) == 0:
        return None
    length = np.linalg.norm(drawn.xyz[drawn.bonds[:, 0]] - drawn.xyz[drawn.bonds[:, 1]], axis=1)
    rows = []
    for (i, j), d in zip(drawn.bonds.tolist(), length.tolist(), strict=True):
        if drawn.is_image[i] and drawn.is_image[j]:
            continue
        names = [labels[drawn.atom[k]] + ("′" if drawn.is_image[k] else "") for k in (i, j)]
        rows.append(("–".join(names), number(d, ".3f")))
    return details(
        f"{len(rows)} bonds as a table", table(["Bond", "Length / Å"], rows, "Bonds; ′ is a symmetry image")
    )


def read_picture(path: Path) -> bytes | None:
    """A PNG of a result, if it is there and is one."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    return content if content.startswith(b"\x89PNG\r\n\x1a\n") and len(content) < 8_000_000 else None
