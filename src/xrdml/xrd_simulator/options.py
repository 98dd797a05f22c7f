"""The recipes, and what `random_atoms` draws from: plain numbers, without cctbx."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from xrdml.crystal.grid import HklGrid
from xrdml.crystal.symmetry import symmetry
from xrdml.errors import UserError
from xrdml.xrd_simulator.cells import SHORTEST_AXIS, longest_axes

WORKERS = {"random_atoms": "xrdml.xrd_simulator._worker", "molecular": "xrdml.physics._worker"}
"""The recipes, and the module that a worker process runs for each: cctbx and torch may never meet."""


@dataclass(frozen=True)
class RandomAtomsOptions:
    """The distributions of the recipe `random_atoms`.

    Attributes
    ----------
    space_groups
        Drawn from with equal probability; extended Hermann–Mauguin symbols.
    grid, d_min
        Cells are drawn so that all unique reflections with d ≥ d_min (Å) lie in the grid; None
        leaves them free.
    cell_shape
        "free": log-normal axes, angles 90–120° where the symmetry leaves them open.
        "thesis": the one shape that cctbx gives a crystal system, 1 : 1.3 : 1.7 and β = 109° for
        monoclinic cells.
    u_iso
        "log-normal": median 0.035 Å². "uniform": 0–0.3 Å².
    fractions
        Atoms of each element, summing to 1.
    n_atoms
        Fewest and most independent atoms.
    volume_per_atom
        Smallest and largest volume of an atom in Å³.
    min_distance
        Between any two atoms, images included, in Å.
    """

    space_groups: tuple[str, ...]
    grid: HklGrid | None = field(default_factory=HklGrid.thesis)
    d_min: float = 0.8
    cell_shape: Literal["free", "thesis"] = "free"
    u_iso: Literal["log-normal", "uniform"] = "log-normal"
    # C : N : O of organic crystals (SCIENCE §5), with one Cl in fifty atoms.
    fractions: dict[str, float] = field(default_factory=lambda: {"C": 0.76, "N": 0.09, "O": 0.13, "Cl": 0.02})
    n_atoms: tuple[int, int] = (10, 30)
    volume_per_atom: tuple[float, float] = (14.0, 22.0)
    min_distance: float = 1.5

    @classmethod
    def make(
        cls, space_groups: Sequence[str], *, grid: HklGrid | None, d_min: float = 0.8, thesis: bool = False
    ) -> RandomAtomsOptions:
        """Options for space groups by any usual name, checked against the grid.

        Raises
        ------
        UserError
            An unknown space group, or a grid that cannot hold the crystals of one.
        """
        names = tuple(dict.fromkeys(symmetry(name).name for name in space_groups))
        if not names:
            raise UserError("no space group given; write e.g. --space-groups P21,C2")
        if thesis:
            options = cls(
                names,
                grid,
                d_min,
                cell_shape="thesis",
                u_iso="uniform",
                fractions=dict.fromkeys(("C", "N", "O", "Cl"), 0.25),
            )
        else:
            options = cls(names, grid, d_min)
        for name in names:
            options._check_grid(name)
        return options

    def _check_grid(self, name: str) -> None:
        if self.grid is None:
            return
        group = symmetry(name)
        longest = longest_axes(group, self.grid, self.d_min)
        smallest = self.n_atoms[0] * self.volume_per_atom[0] * group.order
        if longest.min() <= SHORTEST_AXIS or longest.prod() < smallest:
            side = 1.2 * (self.n_atoms[1] * self.volume_per_atom[1] * group.order) ** (1 / 3)
            roomy = HklGrid.for_crystal((1.3 * side,) * 3 + (90.0,) * 3, group, self.d_min)
            raise UserError(
                f"the grid {self.grid} cannot hold crystals of {group.short_name} to {self.d_min:g} Å; "
                f"give larger bounds, e.g. --grid={roomy}, or --grid=none"
            )

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "grid": None if self.grid is None else str(self.grid)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> RandomAtomsOptions:
        lists = {name: tuple(value[name]) for name in ("space_groups", "n_atoms", "volume_per_atom")}
        grid = None if value["grid"] is None else HklGrid.parse(value["grid"])
        return cls(**{**value, **lists, "grid": grid})
