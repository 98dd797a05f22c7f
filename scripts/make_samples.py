"""Make everything in data_samples/ again, byte for byte.

    python scripts/make_samples.py [DIR]

Nothing but the installed packages is read: the random crystals come from `xrdml simulate`, the packing
of paracetamol from the recipe `molecular`, the atoms of sucrose from `smtbx.development` of cctbx. All
intensities are simulated.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

TARGET = Path(__file__).resolve().parents[1] / "data_samples"
SEED = 1
N_CRYSTALS = 2000

WAVELENGTH = 0.71073  # Å, Mo Kα
D_MIN = {"0p8": 0.8, "1p5": 1.5}  # Å
# One count for an electron² makes sucrose a weak crystal: ⟨I/σ⟩ is 14 to 1.5 Å and 7 to 0.8 Å.
BACKGROUND = 20.0  # counts under each reflection
INSTABILITY = 0.03  # of the intensity: absorption, scaling, extinction


def make_random_crystals(folder: Path) -> None:
    """2000 random crystals in P2₁ and C2, as coordinates."""
    from xrdml.crystal.grid import HklGrid
    from xrdml.xrd_simulator.options import RandomAtomsOptions
    from xrdml.xrd_simulator.simulate import describe, simulate

    path = folder / "simulated_small.h5"
    path.unlink(missing_ok=True)
    options = RandomAtomsOptions.make(["P21", "C2"], grid=HklGrid.thesis())
    simulate(path, N_CRYSTALS, describe(options, SEED, None), workers=2)


def make_paracetamol(folder: Path) -> None:
    """Noisy F² to 1.5 Å of paracetamol molecules in a packing that the simulator invents."""
    import torch

    from xrdml.crystal.cif import read_structure
    from xrdml.crystal.hklf import write_hklf4
    from xrdml.crystal.molecular_options import MolecularOptions
    from xrdml.crystal.molecule_library import MoleculeLibrary, write_library
    from xrdml.crystal.shelx import write_ins
    from xrdml.phasing.output import write_cif
    from xrdml.physics.molecular import make_crystals
    from xrdml.physics.structure_factors import collate, structure_factors
    from xrdml.xrd_simulator.molecules import solvent

    molecule = solvent("CC(=O)Nc1ccc(O)cc1")
    with tempfile.TemporaryDirectory() as scratch:
        library = Path(scratch) / "library.h5"
        entry = (molecule.smiles, molecule.numbers, molecule.positions[0])
        write_library(library, [entry], {"seed": SEED, "n_solvents": 0})
        options = MolecularOptions.make(["P21/c"], library, grid=None)
        crystal = make_crystals(MoleculeLibrary(library), options, SEED, [0])[0]
    stem = folder / "paracetamol"
    contents = crystal.cell_contents()
    write_cif(
        stem.with_suffix(".cif"),
        crystal,
        name=stem.name,
        contents=contents,
        wavelength=WAVELENGTH,
        remarks=["not the packing of the real crystal: drawn by the simulator of xrdml"],
    )
    crystal = read_structure(stem.with_suffix(".cif"))

    hkl = crystal.symmetry.unique_reflections(crystal.cell, D_MIN["1p5"], absent=True)
    with torch.no_grad():
        f = structure_factors(collate([crystal]), torch.from_numpy(hkl))[0].abs().double().numpy()
    measured, sigma = counted(f**2)
    write_hklf4(folder / "paracetamol_1p5.hkl", hkl, measured, sigma)
    write_ins(
        folder / "paracetamol_1p5.ins",
        title="paracetamol, simulated packing in P21/c, simulated intensities to 1.5 A",
        cell=crystal.cell, wavelength=WAVELENGTH, symmetry=crystal.symmetry, contents=contents,
    )  # fmt: skip
    print(f"paracetamol_1p5.hkl: {len(hkl)} reflections, mean I/sigma {(measured / sigma).mean():.1f}")


def counted(counts: Any) -> tuple[Any, Any]:
    """I and σ as an experiment gives them for true F² in counts, (n,) each."""
    import numpy as np

    sigma = np.sqrt(counts + BACKGROUND + (INSTABILITY * counts) ** 2)
    measured = counts + sigma * np.random.default_rng(SEED).standard_normal(len(counts))
    # An experiment estimates σ from what it counted, not from what it should have counted.
    seen = np.maximum(measured, 0)
    return measured, np.sqrt(seen + BACKGROUND + (INSTABILITY * seen) ** 2)


def make_sucrose(folder: Path) -> None:
    """Noisy F² of sucrose to 0.8 Å, its part to 1.5 Å, and the structure; in a process of its own."""
    from xrdml.xrd_simulator import _cctbx_first  # noqa: F401

    # isort: split

    from cctbx.array_family import flex
    from cctbx.miller import set as miller_set
    from smtbx import development

    from xrdml.crystal.cell import d_spacing
    from xrdml.crystal.files import write_text
    from xrdml.crystal.hklf import write_hklf4
    from xrdml.crystal.shelx import write_ins
    from xrdml.crystal.symmetry import symmetry

    sucrose = development.sucrose()
    cell, group = sucrose.unit_cell().parameters(), symmetry("P21")
    write_text(folder / "sucrose.cif", cif_of(sucrose, group))

    hkl = group.unique_reflections(cell, D_MIN["0p8"], absent=True)
    indices = flex.miller_index([tuple(h) for h in hkl.tolist()])
    sucrose.scattering_type_registry(table="it1992")
    asked = miller_set(sucrose.crystal_symmetry(), indices, anomalous_flag=False)
    f_calc = asked.structure_factors_from_scatterers(sucrose, algorithm="direct").f_calc().data()
    counts = flex.norm(f_calc).as_numpy_array()

    measured, sigma = counted(counts)
    contents = {"C": 24.0, "H": 44.0, "O": 22.0}
    d = d_spacing(cell, hkl)
    for name, d_min in D_MIN.items():
        kept = d >= d_min
        stem = folder / f"sucrose_{name}"
        write_hklf4(stem.with_suffix(".hkl"), hkl[kept], measured[kept], sigma[kept])
        title = f"sucrose P21, simulated intensities to {d_min:g} A"
        write_ins(
            stem.with_suffix(".ins"),
            title=title, cell=cell, wavelength=WAVELENGTH, symmetry=group, contents=contents,
        )  # fmt: skip
        ratio = (measured[kept] / sigma[kept]).mean()
        print(f"{stem.name}.hkl: {kept.sum()} reflections to {d_min:g} Å, mean I/sigma {ratio:.1f}")


def cif_of(structure, group) -> str:
    """A small CIF of a cctbx structure with mixed displacements."""
    import gemmi
    from cctbx import adptbx

    block = gemmi.cif.Document().add_new_block("sucrose")
    block.set_pair("_exptl_special_details", "'coordinates from smtbx.development of cctbx'")
    for name, value in zip(
        ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma"),
        structure.unit_cell().parameters(),
        strict=True,
    ):
        block.set_pair(f"_cell_{name}", f"{value:g}")
    block.set_pair("_space_group_name_H-M_alt", f"'{group.name}'")
    block.set_pair("_space_group_name_Hall", f"'{group.hall}'")
    operations = block.init_loop("_space_group_symop_", ["operation_xyz"])
    for operation in structure.space_group():
        operations.add_row([f"'{operation.as_xyz()}'"])
    columns = [
        "label",
        "type_symbol",
        "fract_x",
        "fract_y",
        "fract_z",
        "U_iso_or_equiv",
        "adp_type",
        "occupancy",
    ]
    atoms = block.init_loop("_atom_site_", columns)
    aniso = block.init_loop("_atom_site_aniso_", ["label", "U_11", "U_22", "U_33", "U_12", "U_13", "U_23"])
    cell = structure.unit_cell()
    for atom in structure.scatterers():
        is_aniso = atom.flags.use_u_aniso()
        u = f"{adptbx.u_star_as_u_iso(cell, atom.u_star) if is_aniso else atom.u_iso:.5f}"
        position = [f"{x:.6f}" for x in atom.site]
        kind = "Uani" if is_aniso else "Uiso"
        atoms.add_row([atom.label, atom.scattering_type, *position, u, kind, f"{atom.occupancy:g}"])
        if is_aniso:
            u_cif = adptbx.u_star_as_u_cif(cell, atom.u_star)
            aniso.add_row([atom.label, *(f"{value:.5f}" for value in u_cif)])
    return block.as_string()


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    folder.mkdir(exist_ok=True)
    make_random_crystals(folder)
    make_paracetamol(folder)
    code = "import sys, pathlib, make_samples; make_samples.make_sucrose(pathlib.Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, str(folder.resolve())], check=True, cwd=Path(__file__).parent)


if __name__ == "__main__":
    main()
