"""`xrdml simulate`: the same file however it came about, and one line for whatever is wrong."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from xrdml.cli.main import main
from xrdml.crystal.grid import HklGrid
from xrdml.crystal.store import StructureStore, TensorLayout
from xrdml.errors import UserError
from xrdml.xrd_simulator.options import RandomAtomsOptions
from xrdml.xrd_simulator.parts import alone_in
from xrdml.xrd_simulator.simulate import describe, simulate

GRID = HklGrid.thesis()
OPTIONS = RandomAtomsOptions.make(["P21", "C2"], grid=GRID)
PLAIN = describe(OPTIONS, 1, None)
TENSORS = describe(OPTIONS, 1, TensorLayout(GRID, 1.5, 0.8))
SECONDS = 60.0


def xrdml(*words: object) -> list[str]:
    return [sys.executable, "-m", "xrdml.cli.main", *map(str, words)]


def wait_for(condition, what: str):
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        if result := condition():
            return result
        time.sleep(0.01)
    raise AssertionError(f"{what}: not within {SECONDS:g} s")


def workers_of(parent: int) -> list[int]:
    """Process ids of the simulator's workers, from /proc."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            ppid = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if ppid == parent and b"xrdml.xrd_simulator._worker" in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except (OSError, ValueError):
            continue
    return found


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def shards(path: Path) -> list[Path]:
    return sorted(path.with_name(path.name + ".parts").glob("shard-*.h5"))


@pytest.fixture(scope="module")
def one_go(tmp_path_factory) -> Path:
    """700 crystals, one worker, no interruption."""
    path = tmp_path_factory.mktemp("one_go") / "set.h5"
    assert simulate(path, 700, PLAIN, workers=1) == 700
    return path


def test_workers_and_extension_do_not_change_the_file(tmp_path, one_go):
    path = tmp_path / "set.h5"
    for n, added in ((130, 130), (401, 271), (700, 299)):
        assert simulate(path, n, PLAIN, workers=2, shard_size=97) == added
        assert len(StructureStore(path)) == n
    assert path.read_bytes() == one_go.read_bytes()
    assert list(tmp_path.iterdir()) == [path]


def test_tensors_do_not_depend_on_workers_or_extension(tmp_path, one_go):
    a, b = tmp_path / "a.h5", tmp_path / "b.h5"
    simulate(a, 60, TENSORS, workers=1)
    simulate(b, 25, TENSORS, workers=2, shard_size=7)
    simulate(b, 60, TENSORS, workers=2, shard_size=7)
    assert a.read_bytes() == b.read_bytes()
    for x, y in zip(StructureStore(a), StructureStore(one_go), strict=False):
        assert (x.frac == y.frac).all()  # tensors do not change the crystals


def test_the_shipped_sample_is_what_the_simulator_makes(tmp_path, root):
    simulate(tmp_path / "x.h5", 12, PLAIN)
    shipped = StructureStore(root / "data_samples" / "simulated_small.h5")
    assert len(shipped) == 2000
    for x, y in zip(StructureStore(tmp_path / "x.h5"), shipped, strict=False):
        assert x.cell == y.cell
        assert (x.frac == y.frac).all()
        assert (x.u_iso == y.u_iso).all()


def test_killed_and_run_again(tmp_path, one_go):
    """kill -9 in the middle: the workers go away, finished shards are used, the bytes are the same."""
    path = tmp_path / "set.h5"
    code = (
        "import sys; from test_simulate import *; simulate(sys.argv[1], 700, PLAIN, workers=2, shard_size=20)"
    )
    run = subprocess.Popen([sys.executable, "-c", code, path], cwd=Path(__file__).parent)
    wait_for(lambda: len(shards(path)) >= 2, "two shards")
    team = workers_of(run.pid)
    run.kill()
    run.wait()
    assert team
    assert not path.exists()
    wait_for(lambda: not any(map(is_running, team)), "end of the orphaned workers")
    done = len(shards(path))
    steps: list[int] = []
    assert simulate(path, 700, PLAIN, workers=2, shard_size=20, made=steps.append) == 700
    assert steps[0] == 20 * done
    assert sum(steps) == 700
    assert path.read_bytes() == one_go.read_bytes()
    assert list(tmp_path.iterdir()) == [path]


def test_damaged_shard_is_made_again(tmp_path, one_go):
    path = tmp_path / "set.h5"
    parts = tmp_path / "set.h5.parts"
    parts.mkdir()
    data = one_go.read_bytes()
    (parts / "shard-000000000-000000200.h5").write_bytes(data[: len(data) // 2])
    simulate(path, 700, PLAIN, workers=2)
    assert path.read_bytes() == one_go.read_bytes()


def test_interrupted(tmp_path):
    """Ctrl-C: one line, status 130, no worker left, finished shards kept."""
    path = tmp_path / "set.h5"
    run = subprocess.Popen(
        xrdml("simulate", path, "--n", 100000, "--workers", 2),
        stderr=subprocess.PIPE,
        text=True,
        # Whoever runs the tests in the background of a script has Ctrl-C ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    wait_for(lambda: shards(path), "a shard")
    team = workers_of(run.pid)
    run.send_signal(signal.SIGINT)
    _, errors = run.communicate(timeout=SECONDS)
    assert run.returncode == 130
    assert "Traceback" not in errors
    assert "run the same command again" in errors
    assert team
    assert not any(map(is_running, team))
    assert shards(path)


def test_worker_that_dies(tmp_path):
    """As when the system runs out of memory: an error, not a wait for ever."""

    def kill(_: int) -> None:
        for pid in workers_of(os.getpid()):
            os.kill(pid, signal.SIGKILL)

    with pytest.raises(UserError, match=r"SIGKILL.*run the same command again"):
        simulate(tmp_path / "set.h5", 100000, PLAIN, workers=2, made=lambda k: kill(k) if k else None)
    assert not workers_of(os.getpid())


@pytest.mark.parametrize(("limit", "where"), [(20_000, "shard-"), (90_000, "set.h5:")])
def test_full_disk(tmp_path, limit, where):
    """A limit on file sizes stands for the full disk: first the shards hit it, then the whole."""
    path = tmp_path / "set.h5"
    simulate(path, 20, PLAIN)
    before = path.read_bytes()
    code = (
        "import sys; from test_simulate import *\n"
        "try: simulate(sys.argv[1], 300, PLAIN, workers=2, shard_size=50)\n"
        "except UserError as error: sys.exit(str(error))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path],
        cwd=Path(__file__).parent, capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("\n") == 1, "one line, none of HDF5's tracebacks"
    assert where in done.stderr
    assert "cannot write this file (File too large)" in done.stderr
    assert path.read_bytes() == before
    assert simulate(path, 300, PLAIN, workers=2, shard_size=50) == 280


def test_two_runs_at_once(tmp_path):
    parts = tmp_path / "set.h5.parts"
    parts.mkdir()
    with open(parts / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another run"):
            simulate(tmp_path / "set.h5", 10, PLAIN)


def test_command(tmp_path, capfd):
    path = tmp_path / "set.h5"
    words = [
        "simulate",
        str(path),
        "--n",
        "5",
        "--space-groups",
        "P21",
        "--seed",
        "9",
        "--tensors",
        "--thesis",
    ]
    assert main([*words, "--workers", "1"]) == 0
    assert capfd.readouterr().out.startswith(f"{path}: 5 crystals (5 new)")
    store = StructureStore(path)
    assert {s.space_group for s in store} == {"P 1 21 1"}
    assert store.attributes["seed"] == 9
    assert store.attributes["options"]["cell_shape"] == "thesis"
    assert store.tensor_layout == TensorLayout(GRID, 1.5, 0.8)
    before = path.read_bytes()
    assert main(words) == 0
    assert "nothing to do" in capfd.readouterr().out
    words[words.index("9")] = "10"
    assert main([*words[:-2], "--n", "6"]) == 2
    message = capfd.readouterr().err
    assert "seed 9 (now 10)" in message
    assert "tensors.grid -13:12,0:17,0:22 (now none)" in message
    assert path.read_bytes() == before


def test_parts_of_another_run(tmp_path):
    path = tmp_path / "set.h5"
    with pytest.raises(UserError):  # stopped after the first shards
        simulate(path, 700, PLAIN, shard_size=5, made=lambda k: _stop() if shards(path) else None)
    with pytest.raises(UserError, match=r"seed 1 \(now 2\).*delete this folder"):
        simulate(path, 700, describe(OPTIONS, 2, None), shard_size=5)


def _stop() -> None:
    raise UserError("stopped")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--n", "0"], "--n 0"),
        (["--workers", "0"], "--workers 0"),
        (["--seed", "-1"], "--seed -1"),
        (["--space-groups", "P21,Q7"], "'Q7'"),
        (["--space-groups", ","], "no space group"),
        (["--recipe", "magic"], "unknown recipe 'magic'; there is: random_atoms"),
        (["--space-groups", "P-1"], "cannot hold crystals of P-1"),
        (["--grid=1:2"], "grid bounds '1:2'"),
        (["--grid=5:2,0:1,0:1"], "grid bounds"),
        (["--grid=none", "--tensors"], "--tensors needs bounds"),
        (["--tensors", "--d-min-low", "0.7"], "--d-min-low 0.7"),
        (["--d-min-high", "nan"], "--d-min-high nan"),
    ],
)
def test_bad_options(tmp_path, capsys, words, expected):
    assert main(["simulate", str(tmp_path / "set.h5"), *words]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert message.startswith("xrdml simulate: ")
    assert expected in message
    assert not list(tmp_path.iterdir())


def test_bad_places(tmp_path, capsys):
    (tmp_path / "file").touch()
    (tmp_path / "text.h5").write_text("not a data set\n" * 9)
    for place in ("file/set.h5", "nowhere/set.h5", "text.h5", ".", "/proc/set.h5"):
        assert main(["simulate", str(tmp_path / place), "--n", "1"]) == 2
        message = capsys.readouterr().err
        assert message.count("\n") == 1
        assert place.removeprefix(".") in message


def test_parts_on_several_machines(tmp_path, one_go, capfd):
    """--shard: parts in any order; then the plain command joins them and makes what is missing."""
    path = tmp_path / "set.h5"
    words = ["simulate", str(path), "--n", "700", "--workers", "1", "--shard"]
    assert main([*words, "3/3"]) == 0
    assert not path.exists()
    done = simulate(path, 700, PLAIN, part=(1, 3))
    assert done == 300, "of four shards of 200, 200, 200 and 100 the first and the last"
    assert "part 3/3 is there, 200 crystals" in capfd.readouterr().out
    with alone_in(tmp_path / "set.h5.parts", (2, 3)):
        with pytest.raises(UserError, match="another run"):
            simulate(path, 700, PLAIN, part=(2, 3))
        with pytest.raises(UserError, match="another run"):
            simulate(path, 700, PLAIN)
    assert main(words[:-1]) == 0, "what no machine made is made now"
    assert path.read_bytes() == one_go.read_bytes()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text", ["3", "0/2", "3/2", "a/b", "1/0", "1/2/3"])
def test_bad_parts(tmp_path, capsys, text):
    assert main(["simulate", str(tmp_path / "x.h5"), "--shard", text]) == 2
    assert "--shard" in capsys.readouterr().err
