"""Facts for `xrdml info`: versions, devices and weights."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from xrdml import __version__
from xrdml.errors import UserError
from xrdml.infer.choose import BASELINES, best_measured
from xrdml.models.weights import CARD, find_weights, load_weights, read_config, weights_names
from xrdml.shipped import shipped_folders

PACKAGES = (
    "torch", "lightning", "numpy", "gemmi", "cctbx-base", "rdkit", "h5py", "hydra-core", "safetensors",
    "matplotlib",
)  # fmt: skip


def about() -> dict[str, Any]:
    """Everything, ready for JSON; weights that cannot be read have an `error` and no more."""
    fallback, reason = best_measured()
    return {
        "xrdml": __version__,
        "folder": str(Path(__file__).resolve().parents[1]),
        "configs": [str(path) for path in shipped_folders("configs")],
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "devices": _devices(),
        "weights": {name: _weights(name) for name in weights_names()},
        "baselines": list(BASELINES),
        "fallback": {"name": fallback, "reason": reason},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _devices() -> dict[str, Any]:
    import torch

    cuda = [
        {"name": p.name, "memory_gb": round(p.total_memory / 1e9, 1)}
        for p in map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
    ]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": {
            "cores": len(os.sched_getaffinity(0)),
            "threads": torch.get_num_threads(),
            "memory_gb": round(memory / 1e9, 1),
        },
        "cuda": cuda,
        "mps": bool(torch.backends.mps.is_available()),
    }


def _weights(name: str) -> dict[str, Any]:
    try:
        config = read_config(name)
        load_weights(name)  # that the file is whole
        folder = find_weights(name)
    except UserError as error:
        return {"error": str(error)}
    size = sum(path.stat().st_size for path in folder.iterdir())
    known = ("parameters", "date", "commit", "metrics")
    return {
        "folder": str(folder),
        "model": config["model"],
        **{key: config.get(key) for key in known},
        "megabytes": round(size / 1e6, 2),
        "card": _card(folder / CARD),
    }


def _card(path: Path) -> list[str]:
    """The points of the model card, one a line, without the commands between them."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return []
    points: list[str] = []
    for line in text.splitlines():
        if line.startswith("* "):
            points.append(line[2:].strip())
        elif points and line.startswith("  ") and not line.startswith("   "):
            points[-1] += f" {line.strip()}"
    return points


def lines(facts: dict[str, Any]) -> list[str]:
    """The same for people."""
    cpu, cuda = facts["devices"]["cpu"], facts["devices"]["cuda"]
    packages = ", ".join(f"{name} {v or 'missing'}" for name, v in facts["packages"].items())
    gpus = ", ".join(f"{gpu['name']} ({gpu['memory_gb']:g} GB)" for gpu in cuda)
    if facts["devices"]["mps"]:
        gpus = gpus or "Apple GPU"
    out = [
        f"xrdml      {facts['xrdml']} in {facts['folder']}",
        f"python     {facts['python']}, {facts['system']}",
        f"packages   {packages}",
        f"cpu        {cpu['cores']} cores, {cpu['threads']} threads of torch, {cpu['memory_gb']:g} GB memory",
        f"gpu        {gpus or 'none found'}",
        f"baselines  {', '.join(facts['baselines'])}",
        f"fallback   {facts['fallback']['name']} ({facts['fallback']['reason']})",
    ]
    for name, found in facts["weights"].items():
        if "error" in found:
            out.append(f"weights    {name}: {found['error']}")
            continue
        out.append(f"weights    {name}: {found['megabytes']:g} MB in {found['folder']}")
        out += [f"           {point}" for point in found["card"]]
    return out
