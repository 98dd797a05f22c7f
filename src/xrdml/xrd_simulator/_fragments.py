"""Building blocks of random molecules, as SMILES.

``*`` is a bond that must be made: to the rest of the molecule, or to a cap when the molecule is
full. Any other atom that bears hydrogen may be substituted as well. What stands twice is drawn twice
as often.
"""

from __future__ import annotations


def _table(text: str) -> tuple[str, ...]:
    return tuple(text.split())


AROMATIC = _table(
    """
    c1ccccc1 c1ccccc1 c1ccccc1 c1ccccc1 *c1ccc(*)cc1 *c1cccc(*)c1 *c1ccccc1* *c1ccccc1 c1ccc2ccccc2c1
    c1ccc2cc3ccccc3cc2c1 c1ccc2c(c1)ccc1ccccc12 c1cc2ccc3cccc4ccc(c1)c2c34 c1ccc2c(c1)Cc1ccccc12
    c1ccc(cc1)-c1ccccc1 C1Cc2cccc3cccc1c23
    """
)

HETEROAROMATIC = _table(
    """
    c1ccncc1 c1ccncc1 c1cncnc1 c1cnccn1 c1ccnnc1 c1ncncn1 c1cc[nH]c1 c1c[nH]cn1 c1cn[nH]c1 c1nc[nH]n1
    c1c[nH]nn1 c1nnn[nH]1 c1ccoc1 c1cocn1 c1cnoc1 c1nnco1 c1nocn1 c1ccsc1 c1cscn1 c1nncs1 c1cnsc1
    c1ccc2[nH]ccc2c1 c1ccc2[nH]cnc2c1 c1ccc2[nH]ncc2c1 c1ccc2occc2c1 c1ccc2ocnc2c1 c1ccc2sccc2c1
    c1ccc2scnc2c1 c1ccc2ncccc2c1 c1ccc2cnccc2c1 c1ccc2ncncc2c1 c1ccc2nccnc2c1 c1ncc2nc[nH]c2n1
    c1ccc2c(c1)[nH]c1ccccc12 c1ccc2c(c1)oc1ccccc12 c1ccc2c(c1)sc1ccccc12 c1ccc2nc3ccccc3cc2c1
    c1ccc(nc1)-c1ccccn1 c1ccc2c(c1)Nc1ccccc1S2 *n1cccc1 *n1ccnc1 *n1cccn1 *n1nncc1 *n1ccc2ccccc21
    """
)

RING_WITH_CARBONYL = _table(
    """
    O=c1cc[nH]cc1 O=c1cccc[nH]1 O=c1cc[nH]c(=O)[nH]1 O=c1ccoc2ccccc12 O=c1ccc2ccccc2o1 O=C1C=CC(=O)C=C1
    O=C1c2ccccc2C(=O)c2ccccc12 O=C1CCCCC1 O=C1CCCC1 O=C1C=CCCC1 O=C1CCC(=O)N1* O=C1C=CC(=O)N1*
    O=C1c2ccccc2C(=O)N1* O=C1NC(=O)c2ccccc12 O=C1CNC(=O)N1 O=C1CCCN1* O=C1CCCCN1 O=C1CCCO1 O=C1OCCO1
    O=C1C=CCO1 O=C1OC(=O)c2ccccc12 O=C1CCc2ccccc12 O=C1C=C(*)C(=O)c2ccccc12 O=C1NC(=O)C(*)(*)C(=O)N1
    O=C1N(*)C(=O)N(*)c2[nH]cnc12 O=C1CSC(=S)N1* O=C1CSC(*)N1* O=C1NC(*)C1
    """
)

SATURATED = _table(
    """
    C1CC1 C1CCC1 C1CCCC1 C1CCCC1 C1CCCCC1 C1CCCCC1 C1CCCCC1 C1CCCCCC1 C1CCCCCCC1 C1=CCCCC1 C1=CCCC1
    C1CCNC1 C1CCN(*)C1 C1CCNCC1 C1CCN(*)CC1 C1CNCCN1 C1CN(*)CCN1* C1COCCN1 C1COCCN1* C1CSCCN1* C1COCC1
    C1CCOCC1 C1COCCO1 C1OCCO1 C1OCCCO1 C1CSCCS1 C1CCSC1 C1CO1 C1CN1* C1CCNCCC1 C1CCC2CCCCC2C1
    c1ccc2c(c1)CCC2 c1ccc2c(c1)CCCC2 c1ccc2c(c1)CCNC2 c1ccc2c(c1)NCCC2 c1ccc2c(c1)OCO2 c1ccc2c(c1)OCCO2
    c1ccc2c(c1)OCCN2 c1ccc2c(c1)CCO2 c1ccc2c(c1)SCCC2 C1Cc2ccccc2Cc2ccccc12 C1COCCOCCOCCO1
    """
)

CAGE = _table(
    """
    C1C2CC3CC1CC(C2)C3 C1C2CC3CC1CC(C2)C3 C1CC2CCC1C2 C1CC2CCC1CC2 C1CC2C=CC1C2 CC1(C)C2CCC1(C)C(=O)C2
    CC1(C)C2CCC(C)C1C2 C1CN2CCC1CC2 C1CC2CCC(C1)N2* C12C3C4C1C5C2C3C45 C1N2CN3CN1CN(C2)C3 C1CC2CC1C=C2
    C1C2CC1C2 O1C2CCC1C=C2 O=C1OC(=O)C2C1C1CCC2O1 C1CC2CC2C1 C1CC2OC2CC1 C1CC2CCCC(C1)C2
    CC12CCCCC1CCC1CCCC21 CC12CCCC1C1CCC3CCCCC3C1CC2 C1CC2(CCO1)OCCO2 C1CCC2(CC1)OCCO2 C1CCC2(C1)CCCC2
    """
)

SUGAR = _table(
    """
    OCC1OC(O)C(O)C(O)C1O OCC1OC(*)C(O)C(O)C1O OCC1OC(O*)C(O)C1O CC1OC(O*)C(O)C(O)C1O
    OCC1(O*)OCC(O)C(O)C1O OCC1OC(*)CC1O CC(=O)OCC1OC(*)C(OC(C)=O)C1OC(C)=O CC1(C)OC2COC(*)C2O1
    OC1C(O)C(O)C(O)C(O)C1O OCC(O)C(O)C(O)C=O OCC(O)CO OC1COC2C(O)COC12
    """
)

AMINO_ACID = _table(
    """
    [NH3+]C(*)C([O-])=O [NH3+]C(C*)C([O-])=O [NH3+]CC([O-])=O [NH3+]C(CO)C([O-])=O [O-]C(=O)C1CCC[NH2+]1
    [NH3+]C(CC(C)C)C([O-])=O [NH3+]C(CCSC)C([O-])=O [NH3+]C(CS)C([O-])=O [NH3+]C(CC(N)=O)C([O-])=O
    [NH3+]C(Cc1ccccc1)C([O-])=O [NH3+]C(Cc1c[nH]cn1)C([O-])=O [NH3+]C(Cc1ccc(O)cc1)C([O-])=O
    *NC(C)C(*)=O *NCC(*)=O *NC(C(C)C)C(*)=O *NC(CC(C)C)C(*)=O *NC(Cc1ccccc1)C(*)=O *N1CCCC1C(*)=O
    *NC(CO)C(=O)OC CC(C)(C)OC(=O)NC(*)C(=O)OC *NC(CCC(N)=O)C(O)=O *NC(CCSC)C(=O)OC
    """
)

LINKER = _table(
    """
    *C(=O)N* *C(=O)N* *C(=O)N* *C(=O)N* *C(=O)O* *C(=O)O* *C(=O)* *C(=O)* *O* *O* *O* *O* *N* *N* *N(*)*
    *C* *C* *CC* *CO* *CO* *CN* *C(*)C *C(*)O *C(C)(C)* *C=C* *C=CC(=O)* *C#C* *C=N* *C=NN* *C(=O)NN=C*
    *NC(=O)N* *NC(=O)O* *CC(=O)N* *CC(=O)O* *C(=O)CC(*)=O *C(C)=NO* *COC(=O)* *CCN* *C(*)(O)* *C(*)(*)O
    *N=N* *C(*)=C(C#N)C#N *C(*)C#N *CCC* *OCCO* *OCC* *CCCC* *OC(=O)O* *C(=O)N(*)* *C(=O)C(=O)*
    """
)

SULFUR_PHOSPHORUS_LINKER = _table(
    """
    *S* *S* *SS* *CS* *S(=O)(=O)N* *S(=O)(=O)N* *S(=O)(=O)N(*)* *S(=O)(=O)* *S(*)=O *S(=O)(=O)O*
    *NC(=S)N* *C(=S)N* *SC(*)=S *C(=O)NS(*)(=O)=O *P(*)(*)=O *P(*)(*)=S *P(*)* *P(=O)(OC)OC
    *P(=O)(OCC)OCC *P(*)(=O)O *OP(=O)(O*)O* *NP(*)(*)=O
    """
)

TERMINAL = _table(
    """
    *C *C *C *C *C *CC *C(C)C *C(C)(C)C *CC(C)C *OC *OC *OC *OCC *O *O *O *O *N *N(C)C
    *NC *NCC *[N+](=O)[O-] *[N+](=O)[O-] *C#N *C#N *C(=O)O *C(=O)O *C(=O)O *C(=O)OC *C(=O)OC *C(=O)OCC
    *C(N)=O *C(C)=O *C(C)=O *C=O *OC(C)=O *NC(C)=O *C=C *C#C *CO *CO *CCO *CN *C=NO *C(=N)N *NN
    *N=[N+]=[N-] *C(=O)NN *CC=C *CC#C *CC#N *CC(=O)O *CCCC *NC(N)=O *C(=O)OC(C)(C)C *N=C=O
    *[N+](=O)[O-] *O *[Si](C)(C)C
    """
)

HALIDE = _table(
    """
    *F *F *F *Cl *Cl *Cl *Cl *Cl *Cl *Br *Br *Br *I *I *C(F)(F)F *C(F)(F)F *OC(F)(F)F *C(F)F *CCl *CBr
    *C(Cl)(Cl)Cl
    """
)

SULFUR_PHOSPHORUS_TERMINAL = _table(
    """
    *SC *SC *S *S(C)(=O)=O *S(N)(=O)=O *S(C)=O *C(N)=S *NC(N)=S *N=C=S *SC#N *S(=O)(=O)O
    *S(=O)(=O)C(F)(F)F *P(=O)(O)O *P(C)(C)=O *OS(C)(=O)=O *SCC
    """
)

CORES: tuple[tuple[float, tuple[str, ...]], ...] = (
    (0.40, AROMATIC),
    (0.18, HETEROAROMATIC),
    (0.11, RING_WITH_CARBONYL),
    (0.09, SATURATED),
    (0.05, CAGE),
    (0.03, SUGAR),
    (0.05, AMINO_ACID),
    (0.09, LINKER),
)
"""What a molecule starts from and what its larger parts are, with probabilities."""

SOLVENTS = _table(
    """
    O O O O O CO CO CCO CC#N CC#N ClCCl ClC(Cl)Cl CC(C)=O CN(C)C=O CS(C)=O C1CCOC1 CCOC(C)=O
    """
)
"""What crystals take up from their mother liquor."""

CENTROSYMMETRIC = _table(
    """
    *c1ccc(*)cc1 *c1ccc(*)cc1 *c1ccc(*)cc1 *c1ccc(*)cc1 *c1c(F)c(F)c(*)c(F)c1F *c1cc(Cl)c(*)cc1Cl
    *c1cc(OC)c(*)cc1OC *c1cc(C)c(*)cc1C *c1cc(O)c(*)cc1O *c1cc(Br)c(*)cc1Br *c1ccc(cc1)-c1ccc(*)cc1
    *c1cnc(*)cn1 *c1cccc2c(*)cccc12 *c1ccc2cc(*)ccc2c1 *c1c2ccccc2c(*)c2ccccc12 O=C1C=C(*)C(=O)C=C1*
    *C=C* *C=C* *C#C* *C#CC#C* *N=N* *N=N* *C=NN=C* *CC* *CC* *CCCC* *COCCOC* *C=CC=C*
    *N1CCN(*)CC1 *N1CCN(*)CC1 *C1CCC(*)CC1 *C1NC(=O)C(*)NC1=O
    *C(=O)C(*)=O *NC(=O)C(=O)N* *C(=O)NNC(*)=O *OC(=O)C=CC(=O)O* *C(=O)CCC(*)=O *OC(=O)C(=O)O*
    *C(=O)c1ccc(cc1)C(*)=O *Cc1ccc(C*)cc1 *Oc1ccc(O*)cc1 *Nc1ccc(N*)cc1 *C(C)=NN=C(C)* *CN1CCN(C*)CC1
    """
)
"""Middles of molecules with a centre of inversion. Halves may also be joined without any."""
