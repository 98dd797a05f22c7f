"""The command line: `xrdml <command> …`, one module a command, loaded only when it is called."""

from __future__ import annotations

import argparse
import errno
import importlib
import logging
import os
import sys
import time
from collections.abc import Iterable

from xrdml import __version__
from xrdml.cli import _console
from xrdml.errors import UserError

COMMANDS = {
    "infer": "fill a measured .hkl to 0.8 Å and write HKLF 4 for SHELXT",
    "solve": "solve a measured crystal: phases, map, atoms",
    "molecules": "make a library of random molecules, for crystals of whole molecules",
    "powder": "simulate powder patterns of a CIF or a dataset",
    "simulate": "make random crystals into an HDF5 file",
    "import-cif": "make published crystals (CIFs) into an HDF5 file, with families",
    "inspect": "show what the crystals of a file look like, beside published ones",
    "report": "show a result or a training run as one HTML file",
    "train": "train a network (Hydra overrides follow, e.g. model=unet)",
    "test": "measure a network or a baseline on any data (Hydra overrides follow)",
    "explain": "show what networks learned: attention, Grad-CAM, sensitivity, sections, path of a solution",
    "info": "show versions, devices and weights",
    "completion": "print what makes a shell complete commands and options",
}

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}

log = logging.getLogger("xrdml")


def build_parser(commands: Iterable[str]) -> argparse.ArgumentParser:
    """The parser of `xrdml`, with the options of the named commands alone: the others are not loaded."""
    parser = argparse.ArgumentParser(
        prog="xrdml",
        description="Predict the reflections that a weak crystal did not give.",
        epilog="`xrdml COMMAND --help` shows the options of a command.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"xrdml {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, text in COMMANDS.items():
        sub = subparsers.add_parser(name, help=text, description=text)
        if name in commands:
            module = importlib.import_module(f"xrdml.cli.{name.replace('-', '_')}")
            module.add_arguments(sub)
            _console.add_arguments(sub)
            sub.set_defaults(run=module.run, product=getattr(module, "PRINTS_ITS_PRODUCT", False))
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one command; bad input ends with one line on standard error and status 2."""
    argv = sys.argv[1:] if argv is None else argv
    called = next((word for word in argv if not word.startswith("-")), "")
    args = build_parser([called]).parse_args(argv)
    started = time.monotonic()
    try:
        with _console.console(args.command, verbose=args.verbose, quiet=args.quiet, product=args.product):
            log.info("version %s, Python %s", __version__, sys.version.partition(" ")[0])
            code = args.run(args)
            log.info("ended after %.1f s", time.monotonic() - started)
            return code
    except UserError as error:
        _console.fail(args.command, str(error))
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        _console.fail(args.command, "stopped; run the same command again to go on")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output (head, less) has gone: nothing is wrong and nobody is listening.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        # From libraries that write by themselves, such as checkpoints and logs of a training.
        if error.errno not in NO_ROOM:
            raise
        where = f"{error.filename2 or error.filename}: " if error.filename else ""
        _console.fail(args.command, f"{where}{error.strerror}; make room, or choose another place")
        return EXIT_BAD_INPUT


if __name__ == "__main__":
    sys.exit(main())
