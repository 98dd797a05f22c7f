"""Write docs/tutorial.ipynb with its outputs: `python scripts/make_notebook.py`.

Cells are run in this process, one after the other, in docs/. Output is what Jupyter would keep: printed
text, the value of a last expression, figures of matplotlib.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt

NOTEBOOK = Path(__file__).resolve().parents[1] / "docs" / "tutorial.ipynb"
DPI = 70

CELLS = [
    (
        "markdown",
        """# From weak data to a structure, in Python

The shipped sample: paracetamol, simulated, measured to 1.5 Å. The same as commands, and what to do next
in SHELXL or Olex2, stands in [tutorial.md](tutorial.md). Made by `scripts/make_notebook.py`.""",
    ),
    (
        "code",
        """import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import xrdml

samples, out = Path("../data_samples"), Path(tempfile.mkdtemp())
crystal = xrdml.load(samples / "paracetamol_1p5.hkl")
m = crystal.measurement
print(m.title, m.symmetry.name, m.cell, m.contents, sep="\\n")
print(len(m.reflections), "observations,", len(crystal.merged.reflections), "unique, absences among them")""",
    ),
    ("markdown", "## The data\n\nIntensity over σ against resolution. Nothing lies beyond 1.5 Å."),
    (
        "code",
        """from xrdml.crystal.cell import d_spacing

r = crystal.merged.reflections
plt.figure(figsize=(6, 3))
plt.plot(d_spacing(m.cell, r.hkl) ** -2.0, r.intensity / r.sigma, ".", ms=4)
plt.xlabel("1/d² (Å⁻²)")
plt.ylabel("I / σ(I)");""",
    ),
    (
        "markdown",
        """## Solve

`reference` is only compared with: the verdict never sees it.""",
    ),
    (
        "code",
        """solved = xrdml.solve(crystal, out=out / "solved", reference=samples / "paracetamol.cif")
print(*solved.summary()[:5], sep="\\n")""",
    ),
    (
        "code",
        """for key, value in solved.content["verdict"].items():
    print(f"{key:16} {value:.3g}")""",
    ),
    (
        "code",
        """plt.figure(figsize=(6, 2.6))
plt.plot(solved.content["history"])
plt.xlabel("iteration of the best start")
plt.ylabel("R");""",
    ),
    (
        "code",
        """plt.figure(figsize=(6, 4))
plt.imshow(plt.imread(out / "solved" / "molecule.png"))
plt.axis("off");""",
    ),
    ("markdown", "## Fill to 0.8 Å\n\nMeasured reflections stay; the others are calculated from the atoms."),
    (
        "code",
        """filled = xrdml.fill(crystal, out=out / "filled", figures=False)
print(filled.content["counts"])
for s in filled.content["shells"]:
    print(f"to {s['d_min']:.2f} Å: {s['measured']:4} measured, {s['missing']:4} predicted")""",
    ),
    (
        "markdown",
        """## How right is it?

Here the truth is known. R and the correlation of |F| over predicted reflections alone, against structure
factors that gemmi calculates from the true structure (H atoms included, which the prediction lacks).""",
    ),
    (
        "code",
        """import gemmi

from xrdml.crystal.hklf import read_hklf4

block = gemmi.cif.read(str(samples / "paracetamol.cif")).sole_block()
truth = gemmi.make_small_structure_from_block(block)
truth.setup_cell_images()
calculator = gemmi.StructureFactorCalculatorX(truth.cell)
written = read_hklf4(out / "filled" / "paracetamol_1p5.hkl")
beyond = (d_spacing(m.cell, written.hkl) < 1.5) & (written.intensity > 0)  # without absences
hkl = written.hkl[beyond].tolist()
f_true = np.array([abs(calculator.calculate_sf_from_small_structure(truth, h)) for h in hkl])
f = np.sqrt(np.maximum(written.intensity[beyond], 0))
k = (f_true * f).sum() / (f**2).sum()
r_ext = np.abs(k * f - f_true).sum() / f_true.sum()
print(f"R_ext {r_ext:.3f}, correlation {np.corrcoef(f, f_true)[0, 1]:.3f}, n {len(f)}")""",
    ),
    (
        "markdown",
        """## A page to look at

`xrdml.report(out / "solved")` writes one HTML file with the verdict, its reasons, and the molecule to be
turned and measured. In a shell: `xrdml report solved`.""",
    ),
    ("code", """print(xrdml.report(out / "solved").name)"""),
]


def run(source: str, names: dict[str, Any]) -> list[dict[str, Any]]:
    """Outputs of one cell, run with the names of those before."""
    tree = ast.parse(source)
    quiet = source.rstrip().endswith(";")
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) and not quiet else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "<cell>", "exec"), names)
        value = None if last is None else eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        outputs.append(
            {"output_type": "stream", "name": "stdout", "text": printed.getvalue().splitlines(True)}
        )
    if value is not None:
        outputs.append({"output_type": "display_data", "metadata": {}, "data": {"text/plain": [repr(value)]}})
    for number in plt.get_fignums():
        png = io.BytesIO()
        plt.figure(number).savefig(png, dpi=DPI, format="png", bbox_inches="tight")
        image = base64.b64encode(png.getvalue()).decode()
        outputs.append({"output_type": "display_data", "metadata": {}, "data": {"image/png": image}})
    plt.close("all")
    return outputs


def notebook(execute: bool = True) -> dict[str, Any]:
    """The notebook in nbformat 4.5."""
    names: dict[str, Any] = {"__name__": "__main__"}
    cells = []
    for i, (kind, source) in enumerate(CELLS):
        cell: dict[str, Any] = {
            "cell_type": kind,
            "id": f"cell-{i:02}",
            "metadata": {},
            "source": source.splitlines(True),
        }
        if kind == "code":
            cell |= {"execution_count": sum(k == "code" for k, _ in CELLS[: i + 1])}
            cell |= {"outputs": run(source, names) if execute else []}
        cells.append(cell)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def main() -> int:
    os.chdir(NOTEBOOK.parent)
    text = json.dumps(notebook(), indent=1, ensure_ascii=False) + "\n"
    temporary = NOTEBOOK.with_suffix(".part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(NOTEBOOK)
    print(f"{NOTEBOOK}: {len(text) / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
