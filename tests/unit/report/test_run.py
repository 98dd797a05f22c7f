"""What the report of a training run reads."""

from __future__ import annotations

import pytest

from report_folders import EVIL, run_folder
from xrdml.errors import UserError
from xrdml.html_report.run import read_logs, run_page


def test_a_resumed_run_is_one_curve(tmp_path):
    log = read_logs(run_folder(tmp_path / "run"))
    assert log.starts == 2
    assert log.epochs == 3
    # Step 29 of the first start is repeated by the second, which begins at 25.
    assert log.curves["train/loss"] == [(9, 0.5), (19, 0.4), (25, 0.3), (29, 0.2)]
    assert log.curves["val/loss"] == [(9, 0.45), (19, 0.35), (29, 0.25)]
    assert log.curves["speed/crystals_per_s"] == [(9, 20.0), (19, 22.0), (25, 30.0)]


def test_page(tmp_path):
    text = run_page(run_folder(tmp_path / "run"))
    for expected in ("Learning curves", "of 3 epochs", "measurement.noise", "best val/loss", "2.00 MB"):
        assert expected in text
    assert "0.25" in text
    assert ">22<" in text  # median speed


def test_names_are_escaped(tmp_path):
    text = run_page(run_folder(tmp_path / "run", EVIL))
    assert "<img" not in text
    assert text.count("<script") == 0


def test_a_run_without_curves(tmp_path):
    folder = run_folder(tmp_path / "run")
    for path in folder.glob("logs/*/metrics.csv"):
        path.unlink()
    assert "Nothing was logged" in run_page(folder)


@pytest.mark.parametrize("content", ["a,b\n1,2\n", "step,epoch,x\none,2,3\n", "step,epoch,x\n1,2,three\n"])
def test_logs_that_are_none(tmp_path, content):
    folder = run_folder(tmp_path / "run")
    path = folder / "logs/start_2/metrics.csv"
    path.write_text(content)
    with pytest.raises(UserError, match=r"start_2/metrics\.csv:2"):
        run_page(folder)


@pytest.mark.parametrize("content", ["model: [", "a: 1", "- 1", "model: unet"])
def test_configurations_that_are_none(tmp_path, content):
    folder = run_folder(tmp_path / "run")
    (folder / "config.yaml").write_text(content)
    with pytest.raises(UserError, match=r"config\.yaml"):
        run_page(folder)
