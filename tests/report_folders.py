"""Folders as `infer` and `train` leave them, made in no time, for the HTML report."""

from __future__ import annotations

import json
from pathlib import Path

from crystals import MONOCLINIC, random_structure
from xrdml.crystal.hklf import write_hklf4
from xrdml.crystal.shelx_atoms import write_res
from xrdml.crystal.structure import Structure

EVIL = "</title></script><script>console.error('in')</script><img src=x onerror=\"console.error('in')\">&amp;"
"""What a title may hold, and must not do."""

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)


def shells() -> list[dict]:
    edges = [None, 2.0, 1.5, 1.0, 0.8]
    return [
        {"d_max": a, "d_min": b, "measured": n, "missing": 70 - n, "i_over_sigma": 9.5 if n else None}
        for a, b, n in zip(edges, edges[1:], (70, 60, 0, 0), strict=False)
    ]


def solved_folder(folder: Path, title: str = "made", **changes) -> tuple[Path, Structure]:
    """A result of `infer`: report.json, x.hkl, x.res and two pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    made = random_structure("P 1 21 1", cell=MONOCLINIC, n=12, seed=5)
    write_res(folder / "x.res", made, title="made", wavelength=0.7)
    hkl = made.symmetry.unique_reflections(made.cell, 0.8)
    # σ(I) of a predicted |F| = 10 with σ(F) = 2, by 4F²σ² + 2σ⁴.
    write_hklf4(folder / "x.hkl", hkl, [100.0] * len(hkl), [(1600 + 32) ** 0.5] * len(hkl))
    for name in ("molecule.png", "planes.png"):
        (folder / name).write_bytes(PNG)
    report = {
        "format": 1,
        "input": f"data/{title}.hkl",
        "title": title,
        "cell": list(made.cell),
        "volume": 700.0,
        "space_group": "P 1 21 1",
        "contents": {"C": 24.0},
        "resolution": {"cut": 1.5, "d_measured": 1.5, "d_min": 0.8},
        "counts": {"observations": 300, "measured": 130, "predicted": 150, "absent": 4, "written": 284},
        "merging": {"r_int": 0.034, "r_sigma": 0.02, "completeness": 0.97},
        "shells": shells(),
        "model": {
            "name": "density_prior",
            "solved": True,
            "starts": 4,
            "r_known": 0.19,
            "r_free": 0.21,
            "agreement": 0.84,
            "r1": 0.051,
            "r1_free": 0.073,
            "atoms": 12,
            "seconds": 3.5,
            "amplitudes": "atoms of the solved structure",
            "verdict": {
                "agreement": 0.84,
                "agreement_above": 0.5,
                "r": 0.21,
                "r_below": 0.6,
                "n_reflections": 120,
                "n_free": 10,
                "n_parameters": 49,
            },
            "history": [0.5, 0.4, 0.3, 0.2],
            "options": {"starts": 32, "seconds": None},
            "weights": {"commit": "abc"},
        },
        "comparison": {
            "n_missing": 99,
            "r_ext": 0.22,
            "cc_e": 0.9,
            "mse": 1e-4,
            "shells": [{"d_min": 1.2, "r": 0.2, "cc_e": 0.9}, {"d_min": 0.9, "r": 0.3, "cc_e": 0.8}],
        },
        "metrics": {"r_ext": "R of the missing", "cc_e": "correlation", "mse": "error"},
        "files": {"hkl": "x.hkl", "res": "x.res", "picture": "molecule.png", "planes": "planes.png"},
        "directory": str(folder),
        "intensity_scale": 1.0,
        "seconds": 4.0,
        "versions": {"xrdml": "0"},
        "warnings": [f"look at {title}"],
    }
    report["model"] |= changes.pop("model", {})
    report |= changes
    (folder / "report.json").write_text(json.dumps(report))
    return folder, made


def run_folder(folder: Path, name: str = "unet") -> Path:
    """A training run that was gone on with once."""
    folder.mkdir(parents=True, exist_ok=True)
    quoted = json.dumps(name)
    (folder / "config.yaml").write_text(
        f"seed: 1\nmodel:\n  name: {quoted}\n  width: 8\ntrainer:\n  max_epochs: 3\n"
        "data:\n  measurement:\n    noise: 0.5\n"
    )
    (folder / "best.ckpt").write_bytes(b"x" * 2_000_000)
    head = "epoch,speed/crystals_per_s,step,train/loss,val/loss\n"
    starts = {
        1: "0,20.0,9,0.5,\n0,,9,,0.45\n1,22.0,19,0.4,\n1,,19,,0.35\n1,22.0,29,9.0,\n",
        2: "1,30.0,25,0.3,\n2,,29,,0.25\n2,nan,29,0.2,\n",
    }
    for start, rows in starts.items():
        place = folder / f"logs/start_{start}"
        place.mkdir(parents=True)
        (place / "metrics.csv").write_text(head + rows)
    return folder
