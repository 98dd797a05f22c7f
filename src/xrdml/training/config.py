"""Composing the configuration of a run from configs/ and the user's overrides."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from xrdml.errors import UserError
from xrdml.shipped import shipped_folders
from xrdml.training.schema import TrainConfig

GROUPS = {
    "train": ("model", "data", "trainer", "logger", "experiment"),
    "test": (),
    "table": (),
    "prior": ("trainer", "logger"),
}
"""Groups of choices of each command: folders of configs/."""
_PLAIN_VALUE = re.compile(r"[\w./+\-:@%]*|[\[{'\"].*|.*\$\{.*", re.DOTALL)


def config_folder() -> Path:
    """The folder of train.yaml and its groups."""
    return shipped_folders("configs")[0]


def choices(group: str) -> list[str]:
    """The files of a group."""
    return sorted(path.stem for path in (config_folder() / group).glob("*.yaml"))


def load_config(overrides: Sequence[str], command: str = "train", schema: type = TrainConfig) -> DictConfig:
    """The configuration of a run, typed, resolved and read-only.

    Parameters
    ----------
    command, schema
        The name of the YAML file in configs/ and its typed form.
    overrides
        ``group=choice`` and ``key=value`` words in Hydra's grammar; a value with a comma or blanks
        needs no quotes beyond the shell's.

    Raises
    ------
    UserError
        Unknown option, choice or type of value.
    """
    OmegaConf.register_new_resolver("shipped", _shipped, replace=True)
    words = [_quoted(word) for word in overrides]
    with initialize_config_dir(str(config_folder()), version_base=None):
        _check_words(words, GROUPS[command])
        chosen = [word for word in words if word.partition("=")[0] in GROUPS[command]]
        try:
            _check_keys(words, _keys(compose(command, chosen)) | set(GROUPS[command]), command)
            composed = compose(command, words)
            config = OmegaConf.merge(OmegaConf.structured(schema), composed)
            OmegaConf.resolve(config)
        except (HydraException, OmegaConfBaseException) as error:
            raise UserError(_first_line(error)) from None
    if missing := OmegaConf.missing_keys(config):
        raise UserError(f"no value for {', '.join(sorted(missing))}; give one as key=value")
    assert isinstance(config, DictConfig)
    OmegaConf.set_readonly(config, True)
    return config


def _shipped(path: str) -> str:
    """Where a file that comes with the project lies: in the checkout, or below the working directory."""
    folder, _, rest = path.partition("/")
    found = [root / rest for root in shipped_folders(folder) if (root / rest).exists()]
    return str(found[0]) if found else path


def _quoted(word: str) -> str:
    """Quote a value that Hydra would take for a sweep or fail to parse."""
    key, equals, value = word.partition("=")
    if not equals or _PLAIN_VALUE.fullmatch(value):
        return word
    escaped = value.replace("'", "\\'")
    return f"{key}='{escaped}'"


def _keys(config: DictConfig, prefix: str = "") -> set[str]:
    keys: set[str] = set()
    for key in config:
        name = prefix + str(key)
        keys.add(name)
        if OmegaConf.is_dict(config._get_node(key)):
            keys |= _keys(config[key], f"{name}.")
    return keys


def _check_words(words: Sequence[str], groups: Sequence[str]) -> None:
    """Name what is wrong before Hydra does, which does not list what would be right."""
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise UserError(f"'{word}' is no override; write key=value, e.g. model=unet or data.path=FILE")
        if key not in groups:
            continue
        known = choices(key)
        chosen = value[1:-1].split(",") if re.fullmatch(r"\[.*\]", value) else [value]
        if wrong := [choice.strip() for choice in chosen if choice.strip() not in known]:
            raise UserError(f"unknown choice {key}={wrong[0]}; choose from {', '.join(known)}")


def _check_keys(words: Sequence[str], options: set[str], command: str) -> None:
    for word in words:
        key = word.partition("=")[0]
        if key not in options:
            close = difflib.get_close_matches(key, options, n=1, cutoff=0.5)
            hint = f"did you mean {close[0]}?" if close else f"`xrdml {command} --help` lists the options"
            raise UserError(f"unknown option '{key}'; {hint}")


def _first_line(error: Exception) -> str:
    """What happened, without the frames of Hydra around it."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    key = next((line.removeprefix("full_key:").strip() for line in lines if "full_key:" in line), "")
    return f"{key}: {lines[0]}" if key else lines[0]
