"""The table of faults: what was tried, how often, and what came of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field


@dataclass
class Row:
    """One kind of fault.

    Attributes
    ----------
    fault
        What was done.
    expected
        What counts as survived.
    tried, survived
        How often.
    remarks
        Figures, and the first failures.
    """

    fault: str
    expected: str
    tried: int = 0
    survived: int = 0
    remarks: list[str] = field(default_factory=list)

    def count(self, failure: str | None) -> None:
        """One more try; `failure` says what went wrong, None that nothing did."""
        self.tried += 1
        if failure is None:
            self.survived += 1
        elif len(self.remarks) < 5:
            self.remarks.append(failure)

    def to_json(self) -> dict:
        return asdict(self)
