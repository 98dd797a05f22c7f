"""Space groups: a thin, vectorised layer over gemmi."""

from __future__ import annotations

import re
from functools import cache, cached_property

import gemmi
import numpy as np
from numpy.typing import NDArray

from xrdml.crystal.cell import Cell, d_spacing, index_limits, metric
from xrdml.errors import UserError

Hkl = NDArray[np.int32]
"""Miller indices, shape (n, 3)."""


class Symmetry:
    """One space group in one setting. Get it from :func:`symmetry`, which caches.

    Attributes
    ----------
    name
        Extended Hermann–Mauguin symbol, e.g. ``P 1 21/n 1``; :func:`symmetry` takes it back.
    rotations, translations
        All operations with centring, shapes (n, 3, 3) int and (n, 3) float: x' = R·x + t in
        fractional coordinates; the identity comes first.
    """

    def __init__(self, group: gemmi.SpaceGroup):
        self._group = group
        self._ops = group.operations()
        self.name: str = group.xhm()
        ops = list(self._ops)
        self.rotations = np.array([op.rot for op in ops]) // gemmi.Op.DEN
        self.translations = np.array([op.tran for op in ops]) / gemmi.Op.DEN

    def __repr__(self) -> str:
        return f"Symmetry({self.name!r})"

    def __reduce__(self):
        return symmetry, (self.name,)

    @property
    def number(self) -> int:
        """Number in International Tables A."""
        return self._group.number

    @property
    def short_name(self) -> str:
        """Symbol without blanks, e.g. ``P21/n``."""
        return self._group.short_name()

    @property
    def hall(self) -> str:
        return self._group.hall

    @property
    def crystal_system(self) -> str:
        return self._group.crystal_system_str()

    @property
    def laue_class(self) -> str:
        return self._group.laue_str()

    @property
    def centring(self) -> str:
        """Lattice letter: P, A, B, C, I, F, R or H."""
        return self._group.centring_type()

    @property
    def is_centrosymmetric(self) -> bool:
        return self._group.is_centrosymmetric()

    @property
    def order(self) -> int:
        """Number of operations, centring included."""
        return len(self.rotations)

    @cached_property
    def laue_group(self) -> gemmi.SpaceGroup:
        """The primitive symmorphic group of the Laue class, on the same axes."""
        rotations = [gemmi.Op(op.triplet()) for op in self._ops.derive_symmorphic().sym_ops]
        laue = gemmi.GroupOps([*rotations, gemmi.Op("-x,-y,-z")])
        laue.add_missing_elements()
        return gemmi.find_spacegroup_by_ops(laue)

    def to_asu(self, hkl: Hkl) -> Hkl:
        """Laue-unique equivalents (Friedel mates merged), shape (n, 3).

        The choice depends on the Laue class and its axes alone, so that every setting of a class
        shares one layout: k ≥ 0 and (l > 0 or l = 0 and h ≥ 0) for 2/m with unique axis b. In
        reference settings it is the choice of gemmi, CCP4 and reciprocalspaceship.
        """
        out = np.array(hkl, dtype=np.int32, order="C").reshape(-1, 3)
        self.laue_group.switch_to_asu(out)
        return out

    def is_absent(self, hkl: Hkl) -> NDArray[np.bool_]:
        """Systematic absences, shape (n,)."""
        return self._ops.systematic_absences(_c_int32(hkl))

    def is_centric(self, hkl: Hkl) -> NDArray[np.bool_]:
        """Reflections whose phase takes only two values, shape (n,)."""
        return self._ops.centric_flag_array(_c_int32(hkl))

    def epsilon(self, hkl: Hkl) -> NDArray[np.int32]:
        """ε, shape (n,): ⟨|F|²⟩ = ε Σf² over the atoms of the cell.

        The lattice centring is counted, as in cctbx: all allowed reflections of a C-centred
        group have ε ≥ 2.
        """
        return self._ops.epsilon_factor_array(_c_int32(hkl))

    def unique_reflections(
        self, cell: Cell, d_min: float, d_max: float = np.inf, *, absent: bool = False
    ) -> Hkl:
        """All Laue-unique reflections with d_min ≤ d ≤ d_max, without 0 0 0, shape (n, 3).

        Parameters
        ----------
        absent
            Include systematic absences.
        """
        limits = index_limits(cell, d_min)
        axes = [np.arange(-n, n + 1, dtype=np.int32) for n in limits]
        box = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
        d = d_spacing(cell, box)
        box = box[(d >= d_min) & (d <= d_max) & np.isfinite(d)]
        box = box[(self.to_asu(box) == box).all(1)]
        return box if absent else box[~self.is_absent(box)]

    def site_order(self, frac: NDArray[np.float64], cell: Cell, tolerance: float = 0.1) -> NDArray[np.int64]:
        """Order of each site's symmetry, shape (n, 3) → (n,): 1 on a general position.

        Counts the operations that bring the site back to within `tolerance` Å of itself (modulo
        lattice translations), so occupancy / site_order is the weight of one image in a sum over
        all operations.
        """
        x = np.asarray(frac, dtype=np.float64).reshape(-1, 3)
        images = np.einsum("sij,nj->nsi", self.rotations, x) + self.translations
        delta = images - x[:, None]
        delta -= np.round(delta)
        distance_squared = np.einsum("nsi,ij,nsj->ns", delta, metric(cell), delta)
        return (distance_squared < tolerance**2).sum(1)

    def check_cell(self, cell: Cell) -> None:
        """Raise UserError where the cell contradicts the symmetry (0.3 % / 0.3° allowed)."""
        unit_cell = gemmi.UnitCell(*cell)
        if unit_cell.is_compatible_with_spacegroup(self._group, 0.003):
            return
        text = " ".join(f"{x:g}" for x in cell)
        raise UserError(
            f"cell {text} contradicts space group {self.name} ({self.crystal_system}); "
            "check the angles and the setting, or give the right --space-group"
        )


def _c_int32(hkl: Hkl) -> Hkl:
    return np.ascontiguousarray(hkl, dtype=np.int32).reshape(-1, 3)


@cache
def symmetry(name: str) -> Symmetry:
    """Look a space group up by any usual name: ``P21``, ``P 1 21/n 1``, ``P2(1)/c``, ``R 3:H``, ``I2/a``, 14.

    Raises
    ------
    UserError
        No such space group.
    """
    text = re.sub(r"\((\d)\)", r"\1", name.strip().strip("'\"").replace("_", " "))
    if text.isdigit():
        group = gemmi.find_spacegroup_by_number(int(text)) if 1 <= int(text) <= 230 else None
    else:
        group = gemmi.find_spacegroup_by_name(text)
    if group is None:
        raise UserError(f"unknown space group '{name[:40]}'; write it like P21, C2/c, 'P 1 21/n 1' or R3:H")
    return _by_symbol(group.xhm())


@cache
def _by_symbol(symbol: str) -> Symmetry:
    """One object for each setting, whatever name it was asked for by."""
    return Symmetry(gemmi.find_spacegroup_by_name(symbol))


def symmetry_from_operations(triplets: list[str]) -> Symmetry:
    """Identify a space group, setting included, from operations such as ``-x, y+1/2, -z``.

    The operations may be generators; the group they generate is looked up.

    Raises
    ------
    UserError
        A triplet that is not one, or a group that no table lists.
    """
    shown = "; ".join(t[:30] for t in triplets[:6]) + ("; …" if len(triplets) > 6 else "")
    try:
        # Each operation once: gemmi takes a repeated one, the identity too, for another element.
        distinct = {(op := gemmi.Op(t).wrap()).triplet(): op for t in ["x,y,z", *triplets]}
        ops = gemmi.GroupOps(list(distinct.values()))
        ops.add_missing_elements()
    except (ValueError, RuntimeError) as error:
        raise UserError(f"symmetry operations {shown}: {str(error)[:80]}") from None
    group = gemmi.find_spacegroup_by_ops(ops)
    if group is None:
        raise UserError(f"symmetry operations {shown} are no known space group; give --space-group")
    return symmetry(group.xhm())
