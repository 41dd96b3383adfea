"""Words and commands that the lexer knows, and what token each becomes."""

from __future__ import annotations

import re

FUNCTIONS = {
    "sin": "sin", "cos": "cos", "tan": "tan", "cot": "cot", "sec": "sec", "csc": "csc", "cosec": "csc", "tg": "tan",
    "ctg": "cot", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arctg": "atan", "asin": "asin",
    "acos": "acos", "atan": "atan", "arccot": "acot", "sinh": "sinh", "cosh": "cosh", "tanh": "tanh",
    "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh", "asinh": "asinh", "acosh": "acosh", "atanh": "atanh",
    "log": "log", "ln": "ln", "lg": "log10", "exp": "exp", "sqrt": "sqrt", "cbrt": "cbrt",
    "fourthroot": "fourthroot", "abs": "abs", "Abs": "abs", "min": "min", "max": "max", "gcd": "gcd", "lcm": "lcm",
    "floor": "floor", "ceil": "ceil", "ceiling": "ceil", "factorial": "factorial", "binomial": "binomial",
    "Rational": "rational", "comb": "binomial", "sgn": "sign", "Re": "re", "Im": "im", "det": "det",
    "Interval": "interval", "FiniteSet": "finite_set", "Matrix": "matrix", "tr": "tr",
}  # fmt: skip
COMMAND_OPERATORS = {
    "cdot": "*", "times": "*", "ast": "*", "div": "/", "pm": "pm", "mp": "mp", "le": "<=", "leq": "<=",
    "leqslant": "<=", "ge": ">=", "geq": ">=", "geqslant": ">=", "lt": "<", "gt": ">", "ne": "!=", "neq": "!=",
    "approx": "~", "simeq": "~", "in": "in", "cup": "union", "cap": "intersection", "setminus": "difference",
    "backslash": "difference", "colon": ":", "mid": "|", "vert": "|", "lvert": "|", "rvert": "|", "lbrace": "\\{",
    "rbrace": "\\}", "lbrack": "[", "rbrack": "]", "land": "and", "lor": "or", "wedge": "and", "vee": "or",
    "implies": "and", "Rightarrow": "and", "to": "=", "rightarrow": "=",
    "percent": "%", "prime": "'", "over": "over", "choose": "choose",
    "bmod": "mod", "equiv": "=", "pmod": "pmod", "mod": "pmod",
}  # fmt: skip
# command -> (token kind, text)
PLAIN_COMMANDS = {
    "dots": ("dots", "..."), "ldots": ("dots", "..."), "cdots": ("dots", "..."), "infty": ("constant", "infinity"),
    "pi": ("constant", "pi"), "circ": ("degree", "circ"), "dfrac": ("frac", "frac"), "tfrac": ("frac", "frac"),
    "cfrac": ("frac", "frac"), "frac": ("frac", "frac"), "binom": ("binom", "binom"), "dbinom": ("binom", "binom"),
    "tbinom": ("binom", "binom"), "lfloor": ("lfloor", "lfloor"), "rfloor": ("rfloor", "rfloor"),
    "lceil": ("lceil", "lceil"), "rceil": ("rceil", "rceil"), "langle": ("langle", "langle"),
    "rangle": ("rangle", "rangle"), "emptyset": ("set", "empty"), "varnothing": ("set", "empty"),
    "pounds": ("currency", "£"), "euro": ("currency", "€"), "R": ("set", "R"), "Z": ("set", "Z"), "N": ("set", "N"),
    "Q": ("set", "Q"), "C": ("set", "C"), "sum": ("repeated", "sum"), "int": ("integral", "int"),
    "lim": ("limit", "lim"), "prod": ("repeated", "product"),
    "top": ("name", "top"), "imath": ("constant", "i"), "jmath": ("name", "j"),
}  # fmt: skip
GREEK = set(
    "angle triangle alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda "
    "mu nu xi rho varrho sigma tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Sigma "
    "Upsilon Phi Psi Omega ell hbar".split()
)
INFINITY = {"inf", "infinity", "Infinity", "oo", "Inf", "infty"}
TEXT_COMMANDS = set(
    "text textbf textit textrm texttt textsf mbox hbox mathrm textnormal operatorname emph".split()
)
FONT_COMMANDS = set("mathbf boldsymbol bm mathit mathcal mathsf mathfrak vec hat bar overline overrightarrow "
                     "underline widehat pmb mathbb mathscr tilde".split())  # fmt: skip
PERCENT_WORDS = {"percent", "pct", "percentage", "percents", "procent", "prozent", "pourcent"}
WORD_OPERATORS = {"and": "and", "or": "or", "union": "union", "Union": "union", "plus": "+", "minus": "-"}
SHORT_WORDS = set(
    "yes no odd even not the all one two six ten new old his her its our nor any few men cat dog ann bob tom sam "
    "an is it at on if so he we us me my by do go of up as am pm man red max may mon tue wed thu fri sat sun "
    "dne none true false day joe jim kim lee tim dan ben sue amy eva meg roy ray zoe mia ava".split()
)
UNIT_WORDS = set(
    "cm mm km dm nm um ft yd mi kg mg lb oz hr min sec ms ml cl hz kw mph kph rad deg pt qt gal cc ha pm "
    "usd eur gbp rmb cny yen amp bit ton atm psi ohm kwh mol kj kn "
    "pa kpa cal mb gb kb sq cu lbs hrs yrs mins in g m s h L".split()
)

UNIT_LETTERS = set("msghLNJWVAKCFM")
# As they are written: mA behind a number is a current, ma a product
CASED_UNITS = set(
    "mA nA pA uA kV mV MV mW MW GW Pa hPa MPa GPa Hz mHz kHz MHz GHz eV keV MeV GeV Wh kWh mJ MJ nN mN mL dL uL mT mF"
    " uF nF pF mM Mb MB GB Mg Gb kohm Mohm ohm mol".split()
)
# What stands behind a letter that is a unit: the end, an operator, or a smaller unit (2 h 30 min)
UNIT_END = re.compile(
    r"\s*(?:$|[/^,;)²³]|\\cdot|\*)"
    r"|\s+(?:and\s+)?\d{1,4}(?:\.\d{1,4})?\s*(?:min|sec|s|cm|mm|g|mL|ml|in|oz|m)[a-z]{0,6}(?![A-Za-z])"
)
# 10^{8} N, (4.20 \pm 0.05) m: a value, though no numeral ends it
VALUE_BEFORE = re.compile(r"10\s*\^\s*\{\s*-?\d{1,4}\s*\}\s*$|\(\s*[\d.]{1,12}\s*\\pm\s*[\d.]{1,12}\s*\)\s*$")
