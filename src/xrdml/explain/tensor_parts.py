"""Attention, Grad-CAM and sensitivity of a tensor network: numbers and pictures in a folder."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xrdml.crystal.cell import d_spacing, reciprocal_metric
from xrdml.data import keys
from xrdml.data.tensors import TensorBatch
from xrdml.evaluate.metrics import summarise
from xrdml.explain.absences import BlockEffect, effects
from xrdml.explain.attention import (
    Tokens,
    link_histogram,
    queries_and_keys,
    strongest,
    tokens_of,
    transformer_of,
)
from xrdml.explain.attention_figure import draw_absences, draw_links
from xrdml.explain.grad_cam import grad_cam, shares
from xrdml.explain.map_figure import draw_maps
from xrdml.explain.output import write_csv
from xrdml.explain.sensitivity import LEVELS, fixed_unit, influence, tensor_response
from xrdml.explain.setting import Setting
from xrdml.explain.shell_output import write_shells
from xrdml.explain.subject import subject_of, without_absences

N_LINKS = 40
"""Of each head."""
EDGES = np.linspace(-3, 3, 61)
"""log₁₀(N · attention)."""
CONDITIONS = ("trained", "untrained", "no absences in group")


def explain_attention(setting: Setting) -> dict[str, Any]:
    """Thesis figures 3.1 and 3.2."""
    heads = _links(setting)
    rows: list[dict[str, Any]] = []
    counts: dict[str, list[np.ndarray]] = {}
    for i, subject in enumerate(setting.others):
        batch = setting.model.tensors.tensors(subject.problem)
        if bool(batch[keys.ABSENT].any()):
            found = {
                "trained": effects(setting.model.tensors.network, batch),
                # A network of its own for each crystal: the interval covers the chance of a start.
                "untrained": effects(setting.model.untrained(i), batch),
            }
            if subject.structure is not None:
                found[CONDITIONS[2]] = _without_absences(setting, subject, batch)
            for condition, blocks in found.items():
                rows += [_row(subject.name, condition, b, effect) for b, effect in enumerate(blocks, 1)]
            _count_links(setting, batch, counts)
        setting.count("attention", i + 1)
    summary: dict[str, list[dict[str, Any]]] = {}
    for condition in CONDITIONS:
        mine = [r for r in rows if r["condition"] == condition]
        if mine:
            last = max(r["block"] for r in mine)
            by_block = [[_floats(r) for r in mine if r["block"] == b] for b in range(1, last + 1)]
            summary[condition] = [summarise(numbers) for numbers in by_block]
    if rows:
        write_csv(setting.out / "attention_absences.csv", _columns(rows))
        histogram = {"log10_low": EDGES[:-1], "log10_high": EDGES[1:]}
        histogram |= {
            f"{kind} block {b}": c for kind, blocks in counts.items() for b, c in enumerate(blocks, 1)
        }
        write_csv(setting.out / "attention_values.csv", histogram)
        deltas = {name: [b["delta"] for b in blocks] for name, blocks in summary.items()}
        draw_absences(setting.out / "attention_absences.png", EDGES, counts, deltas)
    return {"n_crystals": len({r["crystal"] for r in rows}), "heads": heads, "effects": summary}


def _links(setting: Setting) -> int:
    batch = setting.model.tensors.tensors(setting.subject.problem)
    network = setting.model.tensors.network
    model = transformer_of(network)
    tokens = tokens_of(model, batch)
    rows, hkl, kind = tokens.ordinary.nonzero()[:, 0], tokens.hkl.cpu().numpy(), _kinds(tokens)
    table: dict[str, list[Any]] = defaultdict(list)
    drawn: list[list[np.ndarray]] = []
    xyz = hkl @ np.linalg.cholesky(reciprocal_metric(setting.subject.problem.cell))
    for b, (q, k) in enumerate(queries_and_keys(model, lambda: network(batch)), 1):
        found = strongest(q, k, rows, N_LINKS)
        drawn.append([])
        for head in range(len(q)):
            ends = [x[head].cpu().numpy() for x in (found.query, found.key)]
            drawn[-1].append(np.stack([xyz[e] for e in ends], 1))
            table["block"] += [b] * N_LINKS
            table["head"] += [head + 1] * N_LINKS
            table["strength"] += found.strength[head].tolist()
            for prefix, end in zip(("from", "to"), ends, strict=True):
                for name, column in zip("hkl", hkl[end].T, strict=True):
                    table[f"{prefix}_{name}"] += column.tolist()
                table[f"{prefix}_kind"] += kind[end].tolist()
    write_csv(setting.out / "attention_links.csv", table)
    points = {name: xyz[kind == name] for name in ("predicted", "measured", "absent")}
    draw_links(setting.out / "attention_links.png", points, drawn)
    return len(drawn[0])


def _kinds(tokens: Tokens) -> np.ndarray:
    masks = [m.cpu().numpy() for m in (tokens.measured, tokens.predict, tokens.absent)]
    return np.select(masks, ["measured", "predicted", "absent"], "none")


def _without_absences(setting: Setting, subject, batch: TensorBatch) -> list[BlockEffect]:
    """The effect at the same positions where nothing is absent."""
    problem = subject.problem
    other = subject_of(subject.name, without_absences(subject.structure), problem.d_limit, problem.d_min)
    model = setting.model.tensors
    return effects(model.network, model.tensors(other.problem), batch[keys.ABSENT].flatten())


def _count_links(setting: Setting, batch: TensorBatch, counts: dict[str, list[np.ndarray]]) -> None:
    network = setting.model.tensors.network
    model = transformer_of(network)
    tokens = tokens_of(model, batch)
    rows, edges = tokens.ordinary.nonzero()[:, 0], torch.from_numpy(EDGES).float()
    for b, (q, k) in enumerate(queries_and_keys(model, lambda: network(batch))):
        for kind, chosen in (("ordinary", tokens.ordinary), ("absent", tokens.absent)):
            found = link_histogram(q, k, rows, chosen, edges).sum(0).cpu().numpy()
            blocks = counts.setdefault(kind, [])
            if len(blocks) <= b:
                blocks.append(np.zeros_like(found))
            blocks[b] = blocks[b] + found


def _row(name: str, condition: str, block: int, effect: BlockEffect) -> dict[str, Any]:
    heads = {f"delta_head_{h}": float(x) for h, x in enumerate(effect.delta_heads, 1)}
    numbers = {"delta": effect.delta, "ratio": effect.ratio, "share": effect.share}
    return {"crystal": name, "condition": condition, "block": block, **numbers, **heads}


def _floats(row: dict[str, Any]) -> dict[str, float]:
    return {k: v for k, v in row.items() if isinstance(v, float)}


def _columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


def explain_grad_cam(setting: Setting) -> dict[str, Any]:
    """Thesis figure 3.3."""
    model, subject = setting.model.tensors, setting.subject
    batch = model.tensors(subject.problem)
    cam = grad_cam(model.network, batch)
    scaled = cam / cam.max().clamp_min(1e-30)
    maps = {"Grad-CAM of the first block": scaled, "measured |F|": batch[keys.F_INPUT][0].sqrt()}
    draw_maps(
        setting.out / "grad_cam.png", _shown(maps), batch[keys.GRID].lower, _limits(batch), relative=True
    )
    _write_positions(setting, batch, "grad_cam.csv", {"grad_cam": scaled})
    rows: dict[str, list[dict[str, float]]] = defaultdict(list)
    for i, other in enumerate(setting.others):
        here, problem = model.tensors(other.problem), other.problem
        limits = (problem.d_limit, problem.d_min)
        cams = {
            "trained": grad_cam(model.network, here),
            "untrained": grad_cam(setting.model.untrained(i), here),
        }
        cams["positions"] = torch.ones_like(cams["trained"])
        for name, values in cams.items():
            # A map that the ReLU emptied has no shares.
            if bool(values.any()):
                rows[name].append(asdict(shares(values, here, *limits)))
        setting.count("Grad-CAM", i + 1)
    return {"n_crystals": len(setting.others), "shares": {name: summarise(r) for name, r in rows.items()}}


def explain_sensitivity(setting: Setting) -> dict[str, Any]:
    """Thesis figure 3.4."""
    model, problem = setting.model.tensors, setting.subject.problem
    batch = model.tensors(problem)
    response = tensor_response(model.network, batch)
    pull = influence(fixed_unit(model.network, batch), batch)
    maps = {f"change at σ = {s:g}": torch.from_numpy(c) for s, c in zip(LEVELS, response.change, strict=True)}
    maps["influence of the input"] = pull
    draw_maps(
        setting.out / "sensitivity.png",
        _reflections_alone(maps, batch),
        batch[keys.GRID].lower,
        _limits(batch),
        relative=True,
    )
    columns = {f"change_{s:g}": torch.from_numpy(c) for s, c in zip(LEVELS, response.change, strict=True)}
    columns |= {"output": torch.from_numpy(response.output), "influence": pull}
    _write_positions(setting, batch, "sensitivity.csv", columns)
    curves, inside = [], []
    for i, other in enumerate(setting.others):
        here = model.tensors(other.problem)
        d, ratio = tensor_response(model.network, here).by_shell(other.problem.d_min)
        curves.append(ratio)
        power = influence(fixed_unit(model.network, here), here).square()
        inside.append(asdict(shares(power, here, other.problem.d_limit, other.problem.d_min)))
        setting.count("sensitivity", i + 1)
    return write_shells(setting, d, np.array(curves)) | {"influence_shares": summarise(inside)}


def _limits(batch: TensorBatch) -> dict[str, np.ndarray]:
    reflections = batch[keys.MEASURED] | batch[keys.PREDICT] | batch[keys.ABSENT]
    s = batch[keys.S]
    end = s[batch[keys.MEASURED]].max()
    return {
        "measured": (s <= end)[0].cpu().numpy(),
        "predicted to": (s <= s[reflections].max())[0].cpu().numpy(),
    }


def _shown(maps: dict[str, Tensor]) -> dict[str, np.ndarray]:
    return {name: m.detach().double().cpu().numpy() for name, m in maps.items()}


def _reflections_alone(maps: dict[str, Tensor], batch: TensorBatch) -> dict[str, np.ndarray]:
    """What a network draws in the corners of a tensor counts for nothing, and would set the scale."""
    inside = _limits(batch)["predicted to"]
    return {name: np.where(inside, m, np.nan) for name, m in _shown(maps).items()}


def _write_positions(setting: Setting, batch: TensorBatch, name: str, maps: dict[str, Tensor]) -> None:
    """One line a reflection."""
    chosen = (batch[keys.MEASURED] | batch[keys.PREDICT] | batch[keys.ABSENT])[0].cpu().numpy()
    hkl = batch[keys.GRID].hkl.reshape(*chosen.shape, 3)[chosen]
    columns: dict[str, Any] = dict(zip("hkl", hkl.T, strict=True))
    columns["d"] = d_spacing(setting.subject.problem.cell, hkl)
    columns["measured"] = batch[keys.MEASURED][0].cpu().numpy()[chosen].astype(int)
    write_csv(setting.out / name, columns | {n: m[chosen] for n, m in _shown(maps).items()})
