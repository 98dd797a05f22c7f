"""A program that keeps SHELXT's file contract, for machines without SHELXT.

It is what the tests put on PATH as `shelxt`: it reads job.ins and job.hkl as SHELXT does, knows the
answer from a file beside it, and writes job_a.res, job_b.res and job.lxt. It solves nothing.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

SCRIPT = """#!{python}
import sys, time
from pathlib import Path
job = sys.argv[1]
ins, hkl = Path(job + ".ins").read_text(), Path(job + ".hkl").read_text()
lines = ins.splitlines()
words = [line.split() for line in lines]
head = [line for line in lines if line.split()[0] in ("TITL", "CELL", "ZERR", "LATT", "SYMM")]
assert {{w[0] for w in words}} >= {{"TITL", "CELL", "LATT", "SFAC", "UNIT", "HKLF", "END"}}, ins
cut = hkl.split("   0   0   0    0.00    0.00")[0]
n = len(cut.splitlines())
assert all(len(line) >= 28 for line in cut.splitlines())
mode = {mode!r}
if mode == "crash":
    print("** Cannot read the file **")
    sys.exit(1)
if mode == "hang":
    time.sleep(60)
atoms = Path({atoms!r}).read_text().splitlines()
body = atoms[next(i for i, line in enumerate(atoms) if line.startswith("SFAC")):]
table = "   R1  Rweak Alpha SysAbs  Orientation      Space group  Flack_x  File  Formula\\n"
if mode == "solve":
    text = "\\n".join([*head, "REM SHELXT solution", *body]) + "\\n"
    Path(job + "_a.res").write_text(text)
    Path(job + "_b.res").write_text(text.replace("HKLF 4", "C99 1 0.1 0.2 0.3 11.0 0.05\\nHKLF 4"))
    table += " 0.083 0.005 0.021 0.00      as input       P2(1)           0.05  job_a  C12 O11\\n"
    table += " 0.083 0.006 0.025 0.00      as input       P2              0.31  job_b  C13 O10\\n"
Path(job + ".lxt").write_text(f" SHELXT stand-in\\n {{n}} Reflections read from file job.hkl\\n\\n" + table)
"""


def install(folder: Path, atoms: Path, mode: str = "solve") -> str:
    """Put the program into `folder`; returns a PATH that begins there.

    Parameters
    ----------
    atoms
        A .res whose atoms it "finds".
    mode
        ``solve``, ``nothing`` (no solution), ``crash`` or ``hang``.
    """
    folder.mkdir(exist_ok=True)
    program = folder / "shelxt"
    program.write_text(SCRIPT.format(python=sys.executable, mode=mode, atoms=str(atoms)))
    program.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"
