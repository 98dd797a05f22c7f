"""`xrdml report`: from a folder of results, or of a training run, to one HTML file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from xrdml.crystal.files import read_text, write_text
from xrdml.errors import UserError
from xrdml.html_report.markup import GENERATOR

NAME = "report.html"
RESULT, RUN = "report.json", "config.yaml"


def write_report(source: str | Path, out: str | Path | None = None) -> Path:
    """Write the HTML report of a result of `infer` or `solve`, or of a training run; its path.

    Parameters
    ----------
    source
        Folder, or the report.json or config.yaml in it.
    out
        File to write; by default report.html in the folder. An earlier report is replaced, any other
        file is not.

    Raises
    ------
    UserError
        No result and no run there, a damaged file, or a place that cannot be written.
    """
    source = Path(source)
    folder = source.parent if source.name in (RESULT, RUN) and source.is_file() else source
    target = folder / NAME if out is None else Path(out)
    text = _page(folder)
    _check(target)
    write_text(target, text)
    return target


def _page(folder: Path) -> str:
    if not folder.is_dir():
        raise UserError("no such folder; give one that infer, solve or train wrote", path=folder)
    if (folder / RESULT).is_file():
        from xrdml.html_report.result import result_page

        return result_page(folder, _read_json(folder / RESULT))
    if (folder / RUN).is_file():
        from xrdml.html_report.run import run_page

        return run_page(folder)
    raise UserError(
        f"holds neither {RESULT} (of infer and solve) nor {RUN} (of train); give the folder of a result",
        path=folder,
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(read_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        line = getattr(error, "lineno", None)
        raise UserError("is no valid JSON; run infer or solve again", path=path, line=line) from None
    expected = {"cell": list, "space_group": str, "counts": dict, "resolution": dict}
    for key, kind in expected.items():
        if not isinstance(content, dict) or not isinstance(content.get(key), kind):
            raise UserError(f"is no report of xrdml ('{key}' is missing)", path=path)
    return content


def _check(target: Path) -> None:
    """Refuse to replace what is no report of ours."""
    if target.is_dir():
        raise UserError("is a folder; give --out the name of a file", path=target)
    if target.exists():
        with target.open("rb") as file:
            ours = GENERATOR.encode() in file.read(1000)
        if not ours:
            raise UserError("exists and is no report of xrdml; choose another --out", path=target)
