"""Does the memory of `xrdml simulate` grow with the number of crystals?

Data sets of growing size, each in a fresh process: the peak resident memory of that process, which joins the
finished parts to one file, and of its worker. The sizes double until `--seconds` are over; the last two
give the growth per crystal, and with it what a million would need.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FIRST = 2000
MILLION = 1_000_000


def child(n: int) -> None:
    """Print peak resident memory in MiB: this process, its worker."""
    from xrdml.crystal.grid import HklGrid
    from xrdml.xrd_simulator.options import RandomAtomsOptions
    from xrdml.xrd_simulator.simulate import describe, simulate

    options = RandomAtomsOptions.make(["P21", "C2"], grid=HklGrid.thesis())
    with tempfile.TemporaryDirectory() as folder:
        simulate(Path(folder) / "set.h5", n, describe(options, 1, None), workers=1)
        who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        print(*(resource.getrusage(w).ru_maxrss / 1024 for w in who))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--child", type=int)
    arguments = parser.parse_args()
    if arguments.child:
        return child(arguments.child)
    end, n, rows = time.monotonic() + arguments.seconds, FIRST, []
    while True:
        start = time.monotonic()
        command = [sys.executable, __file__, "--child", str(n)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        rows.append((n, *map(float, done.stdout.split())))
        print(f"{n:8} crystals  peak {rows[-1][1]:7.1f} MiB  worker {rows[-1][2]:7.1f} MiB", flush=True)
        if time.monotonic() + 2 * (time.monotonic() - start) > end:
            break
        n *= 2
    for name, column in (("peak", 1), ("worker", 2)):
        slope = (rows[-1][column] - rows[-2][column]) / (rows[-1][0] - rows[-2][0])
        total = rows[-1][column] + slope * (MILLION - rows[-1][0])
        print(
            f"{name:6} grows by {1024 * slope:.3f} KiB a crystal: {total:.0f} MiB at a million, if it goes on"
        )


if __name__ == "__main__":
    main()
