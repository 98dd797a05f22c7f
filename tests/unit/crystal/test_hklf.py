"""HKLF files: every form seen in practice, every way to be wrong, and there and back."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crystals import complaint
from xrdml.crystal.hklf import Hklf, parse_hklf, read_hklf4, write_hklf4
from xrdml.crystal.reflections import Reflections
from xrdml.errors import UserError

END = "   0   0   0    0.00    0.00   0\n"
FIXED = (
    "   1   0   0 3048.59  145.91   1\n -12 -10-100   -0.54    0.04   1\n   2   0   1  559.71   15.57   2\n"
)
HKL = [[1, 0, 0], [-12, -10, -100], [2, 0, 1]]
I = [3048.59, -0.54, 559.71]
SIGMA = [145.91, 0.04, 15.57]


def check(data: Reflections, hkl=HKL, intensity=I, sigma=SIGMA) -> None:
    assert data.hkl.tolist() == hkl
    assert data.hkl.dtype == np.int32
    assert data.intensity.tolist() == intensity
    assert data.sigma.tolist() == sigma


def read(tmp_path: Path, content: str | bytes, **options) -> Reflections:
    path = tmp_path / "x.hkl"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_hklf4(path, **options)


@pytest.mark.parametrize(
    "content",
    [
        FIXED + END,
        FIXED,
        FIXED.rstrip("\n"),
        FIXED + "   0   0   0\n",
        FIXED + "0 0 0 0 0\nanything\n  9  9  9 1.0 1.0\n",
        FIXED + END + "TITL x\nCELL 0.71 1 2 3 4 5 6\n",
        "\n" + FIXED + "\n\n",
        "\ufeff" + FIXED + END,
        (FIXED + END).replace("\n", "\r\n"),
        (FIXED + END).replace("\n", "\r"),
        (FIXED + END).replace("\n", "   \n"),
        "".join(line[:28] + "\n" for line in FIXED.splitlines()) + END,
        "".join(line + "  0.12345-0.54321 0.9\n" for line in FIXED.splitlines()),
        "1 0 0 3048.59 145.91\n-12 -10 -100 -.54 4e-2\n2 0 1 559.71 15.57 2\n0 0 0 0 0\n",
        "1\t0\t0\t3048.59\t145.91\n-12\t-10\t-100\t-0.54\t0.04\n2\t0\t1\t559.71\t15.57",
        "1,0,0,3048.59,145.91\n-12,-10,-100,-0.54,0.04\n2, 0, 1, 559.71, 15.57",
        "  1  0  0      3048.590     145.910\n-12 -10 -100      -0.540       0.040\n"
        "  2  0  1       559.710      15.570\n",
    ],
)
def test_forms_of_one_list(tmp_path, content):
    check(read(tmp_path, content))


def test_fixed_format_with_other_decimals_and_touching_columns(tmp_path):
    text = (
        "   1   0   012345678    1234\n -10-100  -112345.678.901234   3\n"
        "   3  -4   5-1234.56 1.2E+01\n   3  -4   6    .125      1.\n"
    )
    check(
        read(tmp_path, text),
        [[1, 0, 0], [-10, -100, -1], [3, -4, 5], [3, -4, 6]],
        [12345678.0, 12345.67, -1234.56, 0.125],
        [1234.0, 8.901234, 12.0, 1.0],
    )


def test_what_follows_the_terminator_is_returned():
    for end in (END, "0 0 0\n"):
        assert parse_hklf(FIXED + end + "TITL a\nCELL\n", "x")[1] == "TITL a\nCELL\n"
    assert parse_hklf(FIXED, "x")[1] == ""


def test_hklf3_becomes_f_squared(tmp_path):
    text = "   1   0   0   12.00    0.50\n   2   0   0   -3.00    1.00\n   3   0   0    0.10    2.00\n"
    data = read(tmp_path, text, hklf=3)
    assert data.intensity == pytest.approx([144, -9, 0.01])
    assert data.sigma == pytest.approx([12, 6, 4])


def test_r_free_flags_are_not_hklf5(tmp_path):
    lines = FIXED.splitlines()
    flagged = "\n".join([lines[0][:28] + "  -1", lines[1], lines[2][:28] + "  -1"])
    check(read(tmp_path, flagged))


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        ("", None, "empty"),
        ("  \n\n", None, "empty"),
        (b"\x89HDF\r\n\x1a\n\x00\x00\x00", None, "binary"),
        (FIXED.encode("utf-16"), None, "binary"),
        ("data of mine\nnothing else\n", 1, "'data of mine' is not a reflection"),
        (FIXED + "   1   x   3  100.00    1.00\n", 4, "is not a reflection"),
        (FIXED + "\nTITL of something\n" + FIXED, 5, "0 0 0 ends the list"),
        (FIXED + "   1   2   3  100.00\n", 4, "no σ"),
        (FIXED + "   1 -20-300  100.00\n", 4, "no σ"),
        (FIXED + "   1   2   3\n", 4, "no intensity"),
        (FIXED + "   1   2   3     NaN    1.00\n", 4, "not a number"),
        (FIXED + "1 2 3 4 inf\n", 4, "not a number"),
        (FIXED + "   1   2   3********    1.00\n", 4, "asterisks"),
        (FIXED + "1 2 3 1e40 1\n", 4, "above 1e+30"),
        (FIXED + "1 2 4000 5 6\n", 4, "1 2 4000"),
        (FIXED + "1 2 1_0 5 6\n", 4, "not a reflection"),
        (FIXED + "1 2 3 4 5 6.5\n", 4, "not a reflection"),
        ("1 2 3 -4 5\n1 2 4 0 5\n", 1, "no intensity is positive"),
        ("1 2 3 4 0\n1 2 4 5 0\n", 1, "no σ is positive"),
        (END + FIXED, 1, "before the terminator"),
        (FIXED.replace("   1\n", "  -2\n"), 1, "HKLF 5"),
        ("   1   2   3  100.00    1.00  -1\n   1   2   4  100.00    1.00   2\n", 1, "HKLF 5"),
        ("\u0663 1 2 5 6\n", 1, "not a reflection"),
        ("x" * 10_000_000, 1, "not a reflection"),
    ],
)
def test_bad_files(tmp_path, content, line, words):
    with pytest.raises(UserError) as caught:
        read(tmp_path, content)
    assert words in str(caught.value)
    assert caught.value.line == line
    assert caught.value.path == tmp_path / "x.hkl"
    assert len(str(caught.value)) < 300 + len(str(tmp_path))


def test_bad_paths_and_codes(tmp_path):
    for path, words in [(tmp_path / "no.hkl", "no such file"), (tmp_path, "is not a file")]:
        with pytest.raises(UserError, match=words):
            read_hklf4(path)
    for code in (5, 2):
        with pytest.raises(UserError, match=f"HKLF {code}"):
            read(tmp_path, FIXED, hklf=code)


def test_line_numbers_and_values_across_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr("xrdml.crystal._hklf_lines.BLOCK", 50)
    check(read(tmp_path, FIXED + END + "text"))
    assert parse_hklf(FIXED * 5 + END + "text\nmore", "x")[1] == "text\nmore"
    with pytest.raises(UserError) as caught:
        read(tmp_path, FIXED * 5 + "\nbad\n" + END)
    assert caught.value.line == 17


def test_instruction_with_scale_and_matrix():
    data = Reflections(np.array([[1, 2, 3]], dtype=np.int32), np.array([10.0]), np.array([1.0]))
    changed = Hklf(4, 2.0, (0, 0, 1, 0, -1, 0, 1, 0, 0), 3.0).apply(data)
    check(changed, [[3, -2, 1]], [20.0], [6.0])
    with pytest.raises(UserError, match=r"reflection 1 2 3 into 0\.5 2 3"):
        Hklf(4, 1.0, (0.5, 0, 0, 0, 1, 0, 0, 0, 1)).apply(data)


@pytest.mark.parametrize(
    ("intensity", "sigma", "scale"),
    [
        ([99999.99, -9999.99], [1, 1], 1.0),
        ([100000.0, 1], [1, 1], 0.1),
        ([5.0, -10000.0], [1, 1], 0.1),
        ([5.0, 20], [1, 2e5], 0.1),
        ([3e9, 1], [1, 1], 1e-5),
        ([10.0, 1], [1, 1], 1.0),
        ([9.5, 0.1], [0.01, 0.01], 1000.0),
        ([2e-7, 1e-9], [1e-9, 1e-9], 1e10),
        ([0.5, 0.1], [200, 0.01], 100.0),
        ([0.0, 0.0], [0, 0], 1.0),
        ([-5.0, -1.0], [1, 1], 1.0),
        ([], [], 1.0),
    ],
)
def test_scale_when_needed_alone(tmp_path, intensity, sigma, scale):
    path = tmp_path / "x.hkl"
    hkl = np.array([[i + 1, 0, -3] for i in range(len(intensity))]).reshape(-1, 3)
    assert write_hklf4(path, hkl, intensity, sigma) == pytest.approx(scale)
    lines = path.read_text().splitlines()
    assert all(len(line) == 32 for line in lines)
    assert [float(line[12:20]) for line in lines[:-1]] == pytest.approx(
        np.multiply(intensity, scale), abs=0.00501
    )
    assert [float(line[20:28]) for line in lines[:-1]] == pytest.approx(
        np.maximum(np.multiply(sigma, scale), 0.01), abs=0.00501
    )
    assert lines[-1] + "\n" == END


def test_writer_refuses_what_no_file_can_hold(tmp_path):
    path = tmp_path / "x.hkl"
    for hkl, value in [([[0, 0, 0]], 1), ([[1000, 0, 0]], 1), ([[1, 0, 0]], np.nan)]:
        with pytest.raises(ValueError, match="must"):
            write_hklf4(path, hkl, [value], [1])
    assert not path.exists()


VALUE = st.floats(-1e12, 1e12, allow_subnormal=False)
ROW = st.tuples(*[st.integers(-999, 999)] * 3, VALUE, st.floats(0, 1e6)).filter(lambda row: any(row[:3]))


@settings(deadline=None, max_examples=200)
@given(st.lists(ROW, min_size=1, max_size=30).filter(lambda rows: max(row[3] for row in rows) > 1e-6))
def test_there_and_back(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("hklf") / "x.hkl"
    table = np.array(rows)
    hkl = table[:, :3].astype(np.int32)
    scale = write_hklf4(path, hkl, table[:, 3], table[:, 4])
    told = complaint(read_hklf4, path)
    if told:
        # All that was positive may have been rounded away beside a large negative value or σ.
        assert "no intensity is positive" in told
        assert (table[:, 3] * scale < 0.006).all()
        return
    data = read_hklf4(path)
    assert (data.hkl == hkl).all()
    assert data.intensity == pytest.approx(table[:, 3] * scale, abs=0.00501)
    assert data.sigma == pytest.approx(np.maximum(table[:, 4] * scale, 0.01), abs=0.00501)


def accepts_or_explains(data: bytes, path: Path) -> None:
    path.write_bytes(data)
    told = complaint(read_hklf4, path)
    assert not told or (told.startswith(str(path)) and "\n" not in told)


@settings(deadline=None, max_examples=200)
@given(
    st.one_of(st.binary(max_size=300), st.text("0123456789-+. \t\r\n,eE*nai", max_size=300).map(str.encode))
)
def test_any_bytes(tmp_path_factory, data):
    accepts_or_explains(data, tmp_path_factory.getbasetemp() / "fuzz.hkl")


@settings(deadline=None, max_examples=300)
@given(st.randoms(use_true_random=False), st.integers(1, 6))
def test_mutated_file(tmp_path_factory, rng: random.Random, n):
    data = bytearray((FIXED * 3 + END + "TITL x\n").encode())
    for _ in range(n):
        i = rng.randrange(len(data))
        data[i : i + rng.randrange(3)] = bytes(
            rng.choices(b"0123456789-. \t\r\n\x00\xffx*", k=rng.randrange(3))
        )
    accepts_or_explains(bytes(data), tmp_path_factory.getbasetemp() / "mutated.hkl")
