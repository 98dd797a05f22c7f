"""Do memory and time of filling and solving grow with the number of crystals?

Calls `xrdml.fill` and `xrdml.solve` on the sample again and again in one process, as a worker of a batch
does, and prints resident memory and seconds a crystal after 1, 10, 100, … of them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import xrdml

SAMPLE = Path(__file__).resolve().parents[1] / "data_samples/paracetamol_1p5.hkl"


def resident() -> float:
    """MB of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fill", type=int, default=1000, help="crystals by radial (%(default)s)")
    parser.add_argument("--solve", type=int, default=100, help="crystals, 4 iterations each (%(default)s)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, most in (("fill", args.fill), ("solve", args.solve)):
            done, started, last = 0, time.process_time(), 0
            for n in (10**k for k in range(10)):
                if n > most:
                    break
                while done < n:
                    if name == "fill":
                        xrdml.fill(SAMPLE, model="radial", figures=False, out=Path(folder) / "f")
                    else:
                        xrdml.solve(SAMPLE, starts=1, iterations=4, seed=done, out=Path(folder) / "s")
                    done += 1
                each = (time.process_time() - started) / (done - last)
                print(
                    f"{name:6} {done:6} crystals  {resident():7.0f} MB  {each:7.3f} s a crystal", flush=True
                )
                started, last = time.process_time(), done


if __name__ == "__main__":
    main()
