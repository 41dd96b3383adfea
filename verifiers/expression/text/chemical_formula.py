"""Chemical formulas and equations in one spelling: `C_6H_{12}O_6`, `C₆H₁₂O₆`, `\\ce{C6H12O6}`."""

from __future__ import annotations

import re

_SMALL = str.maketrans("₀₁₂₃₄₅₆₇₈₉₊₋⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-0123456789+-")
_RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹]*[⁺⁻]")
_WRAPPER = re.compile(r"\\(?:ce|text|mathrm|mathbf|rm|mathsf)\s*\{([^{}]{0,80})\}")
_ARROW = re.compile(
    r"\s*(?:\\(?:long)?(?:right|left|leftright)arrow|\\rightleftharpoons|\\to(?![a-z])|<?[-=]{1,2}>|→|⟶|⇌)\s*",
    re.IGNORECASE,
)
_ELEMENTS = (
    "He|Li|Be|Ne|Na|Mg|Al|Si|Cl|Ar|Ca|Sc|Ti|Cr|Mn|Fe|Co|Ni|Cu|Zn|Ga|Ge|As|Se|Br|Kr|Rb|Sr|Zr|Nb|Mo|Ru|Rh|Pd|Ag|Cd"
    "|In|Sn|Sb|Te|Xe|Cs|Ba|La|Ce|Hf|Ta|Re|Os|Ir|Pt|Au|Hg|Tl|Pb|Bi|Po|Rn|Ra|Th|Pa|Pu|[HBCNOFPSKVYIWU]"
)
_MOLECULE = (
    rf"\d{{0,3}}(?:(?:{_ELEMENTS})\d{{0,3}}"
    rf"|\((?:(?:{_ELEMENTS})\d{{0,3}}){{1,12}}\)\d{{0,3}}){{1,24}}(?:\^?\d?[+-])?"
)
_FORMULA = re.compile(rf"{_MOLECULE}(?:[+>]{_MOLECULE}){{0,12}}")
_STATE = re.compile(r"\((?:s|l|g|aq)\)")


def chemical_form(text: str) -> str | None:
    """The formula in element symbols and plain digits, charges behind `^`; None where it is none.

    At least two elements, or one with a number or a charge, must stand there; `x^2` and `A_1` are no formulas.
    """
    if len(text) > 300 or not re.search(r"[A-Z]", text):
        return None
    plain = text.strip().strip("$").strip()
    plain = re.sub(r"\\[()\[\],;: ]", "", plain)
    for _ in range(3):
        plain = _WRAPPER.sub(r"\1", plain)
    plain = _RAISED.sub(lambda match: "^" + match.group().translate(_SMALL), plain).translate(_SMALL)
    plain = _ARROW.sub(">", plain)
    plain = re.sub(r"_\s*(?:\{\s*(\d{1,3})\s*\}|(\d))", r"\1\2", plain)
    plain = re.sub(r"\^\s*(?:\{\s*(\d?[+-])\s*\}|(\d?[+-]))", r"^\1\2", plain)
    plain = _STATE.sub("", "".join(plain.split())).replace("−", "-")
    if not _FORMULA.fullmatch(plain) or not re.search(
        r"[A-Z][a-z]?\)?\d|[A-Z][a-z]?[A-Z]|[A-Z][a-z]?\^?\d?[+-]", plain
    ):
        return None
    return plain


def same_formula(wanted: str, found: str) -> bool:
    """Of two texts: equal formulas; a charge without its `^` (`Cu2+`) is the charge that the other side writes."""
    first = chemical_form(wanted)
    second = chemical_form(found) if first is not None else None
    if first is None or second is None:
        return False
    return first == second or _same_charge(first, second)


def _same_charge(wanted: str, found: str) -> bool:
    marks = "^" in wanted, "^" in found
    return marks in ((True, False), (False, True)) and wanted.replace("^", "") == found.replace("^", "")
