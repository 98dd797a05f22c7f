"""Numbers behind pictures, on disk."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from xrdml.crystal.files import replace_when_done, write_text

matplotlib.use("Agg")  # no display is needed, and none may be there

from matplotlib import pyplot as plt
from matplotlib.figure import Figure


def write_csv(path: Path, columns: Mapping[str, Sequence[Any] | np.ndarray]) -> None:
    """Columns of equal length; floats with six significant digits."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    for row in zip(*(np.asarray(c).tolist() for c in columns.values()), strict=True):
        table.writerow([f"{x:.6g}" if isinstance(x, float) else x for x in row])
    write_text(path, text.getvalue())


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Anything of numbers, texts and arrays; what is not finite becomes null."""
    write_text(path, json.dumps(_plain(content), indent=1, ensure_ascii=False) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value


def save(figure: Figure, path: Path) -> None:
    """Write a picture whole or not at all, and forget it."""
    with replace_when_done(path) as temporary:
        figure.savefig(temporary, dpi=110)
    plt.close(figure)
