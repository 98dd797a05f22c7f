"""A worker process: ``python -m xrdml.infer._batch_worker``, started by `batch`.

JSON, one object a line. In: the command and its options, then one crystal after another,
``{"name": …, "options": {…}}``. Out: ``{"name": …, "content": …, "warnings": …}`` of each report, or
``{"name": …, "error": …}``.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable

from xrdml import api
from xrdml.errors import UserError
from xrdml.infer.crystal_report import CrystalReport

CALLS: dict[str, Callable[..., CrystalReport]] = {"infer": api.fill, "solve": api.solve}


def main() -> int:
    # Anything a library prints must not get between the messages.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    lines = iter(sys.stdin.readline, "")
    command = json.loads(next(lines))["command"]
    try:
        for line in lines:
            task = json.loads(line)
            out.write(json.dumps({"name": task["name"], **_run(command, task["options"])}) + "\n")
            out.flush()
    except BrokenPipeError:  # whoever wanted the results has gone
        os.dup2(2, out.fileno())
    return 0


def _run(command: str, options: dict) -> dict:
    try:
        report = CALLS[command](**options)
    except UserError as error:
        return {"error": str(error)}
    except Exception as error:
        # One crystal that nobody thought of must not stop a hundred others.
        return {"error": f"fault in xrdml, please report it: {type(error).__name__}: {error}"}
    return {"content": json.loads(report.to_json()), "warnings": report.warnings}


if __name__ == "__main__":
    sys.exit(main())
