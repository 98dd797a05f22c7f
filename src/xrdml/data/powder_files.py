"""One powder pattern as text: .xy, the list of reflections, and what it was made with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from xrdml import __version__
from xrdml.crystal.files import write_text
from xrdml.data.powder_options import PowderOptions, column_names, column_values
from xrdml.data.powder_patterns import PowderPattern
from xrdml.physics.powder import line_positions, lorentz_polarization

CSV_HEADER = "h,k,l,multiplicity,d,f,line,wavelength,two_theta,lorentz_polarization,intensity"


def write_xy(path: Path, options: PowderOptions, pattern: PowderPattern, title: str, noise: bool) -> None:
    """Two columns, 2θ in degrees and counts, after a comment line that starts with ``#``."""
    what = "counts (Poisson)" if noise else "expected counts"
    scan = options.scan
    lines = [f"# 2theta (degrees), {what}; {title}; {scan.radiation.name}; xrdml {__version__}"]
    if noise:
        lines += [f"{x:.6f} {n}" for x, n in zip(scan.two_theta, pattern.counts, strict=True)]
    else:
        lines += [f"{x:.6f} {y:.4f}" for x, y in zip(scan.two_theta, pattern.expected, strict=True)]
    write_text(path, "\n".join(lines) + "\n")


def write_reflections(path: Path, options: PowderOptions, pattern: PowderPattern) -> None:
    """CSV, one line for each reflection and wavelength, falling d; the strongest has intensity 100.

    2θ without zero shift; lines within a degree outside of the scan are listed as well, because their
    tails reach in.
    """
    scan, found = options.scan, pattern.reflections
    two_theta, intensity = line_positions(found, scan)
    relative = 100 * intensity / intensity.max()
    factor = lorentz_polarization(two_theta, scan.polarization)
    rows = [CSV_HEADER]
    for i, (h, k, l) in enumerate(found.hkl.tolist()):
        head = f"{h},{k},{l},{found.multiplicity[i]},{found.d[i]:.6f},{found.f[i]:.5g}"
        for j, wavelength in enumerate(scan.radiation.wavelengths):
            if np.isfinite(two_theta[i, j]):
                tail = f"{two_theta[i, j]:.5f},{factor[i, j]:.6g},{relative[i, j]:.5g}"
                rows.append(f"{head},{j + 1},{wavelength:g},{tail}")
    write_text(path, "\n".join(rows) + "\n")


def write_report(path: Path, options: PowderOptions, pattern: PowderPattern, about: dict[str, Any]) -> None:
    """JSON: the crystal, the scan, and every parameter that the pattern was made with."""
    values = column_values(pattern.measurement)
    report = {
        "format": 1,
        **about,
        "scan": options.scan.to_json(),
        "wavelengths": list(options.scan.radiation.wavelengths),
        "parameters": dict(zip(column_names(options.shape), values, strict=True)),
        "total_counts": int(pattern.counts.sum(dtype=np.int64)),
        "expected_total": float(pattern.expected.sum()),
        "reflections": len(pattern.reflections.d),
        "versions": {"xrdml": __version__},
    }
    write_text(path, json.dumps(report, indent=1, ensure_ascii=False) + "\n")
