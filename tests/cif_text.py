"""CIFs as text, for tests of what reads them."""

from __future__ import annotations

import gemmi

from xrdml.crystal.structure import Structure


def cif_text(name: str, structure: Structure, *, u=True, parts=None, extra="") -> str:
    """One block with cell, symmetry operations and atoms.

    Parameters
    ----------
    u
        Whether to write displacements.
    parts
        (assembly, group) of each atom.
    extra
        More items, each with its line end.
    """
    axes = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    lines = [f"data_{name}", *(f"_cell_{x} {v}" for x, v in zip(axes, structure.cell, strict=True)), "loop_"]
    lines.append("_space_group_symop_operation_xyz")
    operations = gemmi.SpaceGroup(structure.space_group).operations()
    lines += [f"'{op.triplet()}'" for op in operations]
    columns = ["label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy"]
    columns += ["U_iso_or_equiv"] * u + ["disorder_assembly", "disorder_group"] * (parts is not None)
    lines += [extra, "loop_", *(f"_atom_site_{c}" for c in columns)]
    for i, z in enumerate(structure.numbers):
        symbol = gemmi.Element(int(z)).name
        row = [f"{symbol}{i + 1}", symbol, *(f"{x:.6f}" for x in structure.frac[i]), structure.occupancy[i]]
        row += [structure.u_iso[i]] * u + (list(parts[i]) if parts is not None else [])
        lines.append(" ".join(map(str, row)))
    return "\n".join(lines) + "\n\n"
