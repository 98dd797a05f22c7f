"""Makes tests/unit/physics/pymatgen_powder.json; runs where pymatgen is, never with the tests.

    python3 -m venv /tmp/pmg/venv && /tmp/pmg/venv/bin/pip install pymatgen==2026.10.24
    /tmp/pmg/venv/bin/python tests/pymatgen_powder.py > tests/unit/physics/pymatgen_powder.json

Structures of textbooks and one invented molecule-like arrangement; pymatgen applies the symmetry, finds the
reflections and sums them. One U for each element, because pymatgen takes no more.
"""

import json
import math
from importlib.metadata import version

from pymatgen.analysis.diffraction.xrd import ATOMIC_SCATTERING_PARAMS, XRDCalculator
from pymatgen.core import Lattice, Structure

CRYSTALS = {
    "halite": {
        "cell": [5.6402, 5.6402, 5.6402, 90, 90, 90],
        "symbol": "Fm-3m",
        "atoms": [["Na", 0, 0, 0], ["Cl", 0.5, 0.5, 0.5]],
        "u_iso": {"Na": 0.0165, "Cl": 0.0157},
        "wavelength": 1.540593,
        "two_theta": [10, 100],
    },
    "silicon": {
        "cell": [5.43102, 5.43102, 5.43102, 90, 90, 90],
        "symbol": "Fd-3m",
        "atoms": [["Si", 0, 0, 0]],
        "u_iso": {"Si": 0.006},
        "wavelength": 0.709317,
        "two_theta": [5, 60],
    },
    "rutile": {
        "cell": [4.5937, 4.5937, 2.9587, 90, 90, 90],
        "symbol": "P4_2/mnm",
        "atoms": [["Ti", 0, 0, 0], ["O", 0.3053, 0.3053, 0]],
        "u_iso": {"Ti": 0.005, "O": 0.007},
        "wavelength": 1.788996,
        "two_theta": [20, 120],
    },
    "molecule": {
        "cell": [7.1, 8.9, 6.3, 90, 104, 90],
        "symbol": "P2_1/c",
        "atoms": [
            ["C", 0.213, 0.087, 0.154], ["C", 0.331, 0.206, 0.278], ["N", 0.252, 0.322, 0.391],
            ["O", 0.501, 0.187, 0.265], ["H", 0.118, 0.061, 0.241], ["H", 0.287, -0.003, 0.118],
        ],
        "u_iso": {"C": 0.035, "N": 0.04, "O": 0.045, "H": 0.055},
        "wavelength": 1.540593,
        "two_theta": [5, 45],
    },
}  # fmt: skip


def pattern(crystal: dict) -> list[list[float]]:
    elements = [atom[0] for atom in crystal["atoms"]]
    sites = [atom[1:] for atom in crystal["atoms"]]
    structure = Structure.from_spacegroup(
        crystal["symbol"], Lattice.from_parameters(*crystal["cell"]), elements, sites
    )
    b = {element: 8 * math.pi**2 * u for element, u in crystal["u_iso"].items()}
    calculator = XRDCalculator(crystal["wavelength"], debye_waller_factors=b)
    found = calculator.get_pattern(structure, scaled=False, two_theta_range=tuple(crystal["two_theta"]))
    return [[round(x, 5), float(f"{y:.7g}")] for x, y in zip(found.x, found.y, strict=True)]


if __name__ == "__main__":
    used = sorted({atom[0] for crystal in CRYSTALS.values() for atom in crystal["atoms"]})
    table = {element: ATOMIC_SCATTERING_PARAMS[element] for element in used}
    result = {
        "pymatgen": version("pymatgen"),
        "scattering": table,
        "crystals": {name: {**crystal, "peaks": pattern(crystal)} for name, crystal in CRYSTALS.items()},
    }
    print(json.dumps(result))
