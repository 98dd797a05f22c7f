"""R and CC|E| by resolution, one curve a model."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")  # no display is needed, and none may be there

from matplotlib import pyplot as plt

from xrdml.crystal.files import replace_when_done
from xrdml.crystal.statistics import bootstrap_interval
from xrdml.evaluate.compare import Comparison
from xrdml.evaluate.metrics import N_SHELLS


def shell_curves(path: Path, comparison: Comparison) -> None:
    """Draw means over the common crystals by shell (of equal volume between the two limits), with bands
    of 95 % bootstrap intervals."""
    figure, axes = plt.subplots(1, 2, figsize=(9.6, 3.8), layout="constrained")
    for model, scores in comparison.scores.items():
        shells = [s["shells"] for name, s in scores.items() if name in set(comparison.common)]
        # A crystal with an empty shell has no place in that shell's mean, nor in the others' count.
        full = [s for s in shells if len(s) == N_SHELLS]
        if not full:
            continue
        d = np.array([np.mean([(s[i]["d_max"] + s[i]["d_min"]) / 2 for s in full]) for i in range(N_SHELLS)])
        for axis, key in zip(axes, ("r", "cc_e"), strict=True):
            values = np.array([[s[i][key] for i in range(N_SHELLS)] for s in full])
            bands = np.array([bootstrap_interval(column) for column in values.T])
            finite = np.isfinite(values)
            with np.errstate(invalid="ignore"):
                means = np.where(finite, values, 0).sum(0) / finite.sum(0)
            line = axis.plot(d, means, label=model, lw=1.2)[0]
            axis.fill_between(d, bands[:, 0], bands[:, 1], color=line.get_color(), alpha=0.15, lw=0)
    for axis, title in zip(
        axes, ("R of the missing reflections", "CC|E| of the missing reflections"), strict=True
    ):
        axis.set_xlabel("d (Å)")
        axis.set_title(title, fontsize=10)
        axis.invert_xaxis()
    axes[0].legend(fontsize=7)
    with replace_when_done(path) as temporary:
        figure.savefig(temporary, dpi=110)
    plt.close(figure)
