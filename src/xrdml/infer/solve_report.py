"""The report of one crystal that was to be solved."""

from __future__ import annotations

from xrdml.infer.crystal_report import CrystalReport
from xrdml.phasing.verdict import agreement_text

DESCRIPTIONS = {
    "solved": "the verdict; rests on agreement, r1 and r1_free alone, never on a reference",
    "r1_measured": "the same as r1, of SHELXT's atoms",
    "r1": "Σ| |Fo| − k|Fc| | / Σ|Fo| of the atoms over all measured reflections",
    "r1_free": "the same over the reflections left out, before they were used for anything",
    "r_known": "R between measured |F| and those of the drawn density, reflections that phasing used",
    "r_free": "the same over reflections that phasing did not use",
    "agreement": "correlation of the map with its symmetry mates; null where none, or imposed",
    "map_cc": "correlation of the map with that of the reference, at the best origin and hand",
    "atoms_matched": "share of the reference's non-H atoms with an atom of ours within 0.5 Å",
    "rmsd": "of the matched atoms, Å",
}


class SolveReport(CrystalReport):
    """One run of `xrdml solve`."""

    def summary(self) -> list[str]:
        """Six lines for the terminal."""
        return [*self.crystal_lines(), self._contents(), self._verdict(), self._compared(), self._written()]

    def _contents(self) -> str:
        contents = self.content["contents"]
        if contents is None:
            return "contents   unknown, all atoms are called carbon (--formula, or SFAC and UNIT, would tell)"
        return "contents   " + " ".join(f"{e}{n:g}" for e, n in contents.items()) + " in the cell"

    def _verdict(self) -> str:
        c = self.content
        if c["engine"] == "shelxt":
            return self._shelxt()
        how = f"{c['starts']} starts, {c['seconds_solving']:.0f} s"
        figures = f"R1 {c['r1']:.3f}, R_free {c['r_free']:.3f}, {agreement_text(c['agreement'])}"
        if c["solved"]:
            return f"solved     {c['atoms']} atoms, {figures} ({how})"
        return f"NOT SOLVED {figures} ({how}); the files hold the best attempt, which is likely wrong"

    def _shelxt(self) -> str:
        parts = []
        for name, found in self.content["shelxt"].items():
            if found is None:
                parts.append(f"{name} data: no solution")
            else:
                parts.append(
                    f"{name} data: {found['atoms']} atoms in {found['space_group']}, R1 {found['r1']:.3f}"
                )
        return ("solved     " if self.content["solved"] else "NOT SOLVED ") + "by SHELXT; " + "; ".join(parts)

    def _compared(self) -> str:
        r = self.content["reference"]
        if r is None:
            return "compared   nothing (--reference gives a known structure)"
        matched = round(r["atoms_matched"] * r["n_atoms"])
        rmsd = f", rmsd {r['rmsd']:.3f} Å" if matched else ""
        return f"compared   map CC {r['map_cc']:.3f}, {matched} of {r['n_atoms']} atoms within 0.5 Å{rmsd}"

    def _written(self) -> str:
        return f"written    {', '.join(self.content['files'].values())} in {self.content['directory']}"
