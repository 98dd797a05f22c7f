"""Finding the configurations and weights that come with the project."""

from __future__ import annotations

from pathlib import Path


def shipped_folders(name: str) -> list[Path]:
    """The existing folders called `name` (``configs`` or ``weights``), the first to be preferred.

    They lie inside the package once it is installed, and at the top of the repository in a
    checkout.
    """
    package = Path(__file__).resolve().parent
    checkout = package.parents[1]
    found = [package / name]
    if (checkout / "pyproject.toml").is_file():
        found.append(checkout / name)
    return [folder for folder in found if folder.is_dir()]
