"""Build sdist and wheel, install the wheel where nothing else is, and fill the sample outside the repository.

    python scripts/check_wheel.py [FOLDER]

FOLDER (default: a temporary one) keeps the packages, the environment and the result. Dependencies come from
the index with the pins of constraints.txt: a minute, and a GB.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run(*words: object, cwd: Path | None = None) -> str:
    """A command that must succeed, without the paths of the repository; what it printed."""
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    clean["PIP_CONSTRAINT"] = str(ROOT / "constraints.txt")
    done = subprocess.run([str(w) for w in words], cwd=cwd, env=clean, text=True, capture_output=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp(prefix="wheel-"))
    run(sys.executable, "-m", "build", "--outdir", folder / "dist", ROOT)
    [wheel] = (folder / "dist").glob("*.whl")
    venv.create(folder / "env", with_pip=True, clear=True)
    run(folder / "env/bin/pip", "install", "--quiet", wheel)
    work = folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    for suffix in (".hkl", ".ins"):
        shutil.copy(ROOT / f"data_samples/paracetamol_1p5{suffix}", work)
    xrdml = folder / "env/bin/xrdml"
    facts = json.loads(run(xrdml, "info", "--json", cwd=work))
    outside = Path(facts["folder"])
    print(f"xrdml {facts['xrdml']} in {outside}, weights: {', '.join(facts['weights'])}")
    if not outside.is_relative_to(folder.resolve()) or any("error" in w for w in facts["weights"].values()):
        sys.exit("not the installed package, or weights that cannot be read")
    print(run(xrdml, "infer", "paracetamol_1p5.hkl", cwd=work), end="")
    report = json.loads((work / "paracetamol_1p5_filled/report.json").read_text())
    run(xrdml, "infer", "paracetamol_1p5.hkl", "--model", "unet", "--out", "unet", cwd=work)
    run(xrdml, "train", "--help", cwd=work)
    if not report["model"]["solved"]:
        sys.exit("the sample was not solved")


if __name__ == "__main__":
    main()
