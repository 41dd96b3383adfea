"""Names and symbols of units: what they measure and their size in base units; SI prefixes."""

from __future__ import annotations

import re
from fractions import Fraction

_SYMBOLS: dict[str, tuple[dict[str, int], Fraction]] = {}  # as they are written: mA is not MA
_NAMES: dict[str, tuple[dict[str, int], Fraction]] = {}  # in small letters, singular
OFFSETS = {"degc": Fraction(27315, 100), "degf": Fraction(45967, 100) * Fraction(5, 9)}
_PREFIXES = {
    "T": 12, "G": 9, "M": 6, "k": 3, "d": -1, "c": -2, "m": -3, "u": -6, "µ": -6, "μ": -6, "n": -9, "p": -12,
}  # fmt: skip
_PREFIX_NAMES = {
    "tera": 12, "giga": 9, "mega": 6, "kilo": 3, "hecto": 2, "deci": -1, "centi": -2, "milli": -3, "micro": -6,
    "nano": -9, "pico": -12,
}  # fmt: skip
_PREFIXED = set("m g s A K mol L l J N W Pa V F C Hz eV bar cal B b ohm Ω H T Wh M rad".split())


def _add(base: str, factor: str, symbols: str, names: str = "") -> None:
    """`base` as `length`, `mass*length/time^2`; names are matched in small letters and singular."""
    dimension: dict[str, int] = {}
    for part in re.findall(r"[*/]?[a-z]+(?:\^\d)?", base):
        name, _, power = part.strip("*/").partition("^")
        dimension[name] = dimension.get(name, 0) + int(power or 1) * (-1 if part.startswith("/") else 1)
    for symbol in symbols.split():
        _SYMBOLS[symbol] = (dimension, Fraction(factor))
    for name in names.split():
        _NAMES[name] = (dimension, Fraction(factor))


_ENERGY = "mass*length^2/time^2"
_add("length", "1", "m", "m meter metre")
_add("length", "127/5000", "in", "inch inche")
_add("length", "381/1250", "ft", "ft foot feet")
_add("length", "1143/1250", "yd", "yd yard")
_add("length", "201168/125", "mi", "mile")
_add("length", "1852", "nmi")
_add("length", "1e-10", "Å", "angstrom")
_add("length", "9460730472580800", "ly", "lightyear")
_add("length", "149597870700", "AU")
_add("mass", "1/1000", "g gm", "gram gm gramme")
_add("mass", "45359237/100000000", "lb lbs", "lb pound")
_add("mass", "45359237/1600000000", "oz", "oz ounce")
_add("mass", "1000", "t", "tonne")
_add("time", "1", "s sec", "sec second")
_add("time", "60", "min", "min minute")
_add("time", "3600", "h hr hrs", "hr hour h")
_add("time", "86400", "d", "day")
_add("time", "604800", "wk", "week")
_add("month", "1", "mo", "month")
_add("month", "12", "yr yrs", "yr year")
_add("length^3", "1/1000", "L l", "liter litre")
_add("length^3", "473176473/125000000000", "gal", "gallon")
_add("length^3", "1/1000000", "cc")
_add("length^2", "10000", "ha", "hectare")
_add("money", "1", "$", "dollar usd buck")
_add("money", "1/100", "¢", "cent")
_add("euro", "1", "€", "euro eur")
_add("pound", "1", "£", "gbp")
_add("yuan", "1", "¥", "yuan rmb yen cny jpy")
_add("rupee", "1", "₹", "rupee inr")
_add("angle", "1", "° deg", "degree deg")
_add("angle", "1/60", "arcmin", "arcminute")
_add("radian", "1", "rad", "radian")
_add("temperature", "1", "K", "kelvin degc celsius")
_add("temperature", "5/9", "", "degf fahrenheit")
_add("length/time", "1397/3125", "mph", "mph")
_add("length/time", "5/18", "kph kmph kmh", "kph kmph")
_add("length/time", "1", "mps", "mps")
_add(_ENERGY, "1", "J", "joule")
_add(_ENERGY, "4184/1000", "cal", "calorie")
_add(_ENERGY, "4184", "Cal")
_add(_ENERGY, "3600", "Wh")
_add(_ENERGY, "1602176634/10000000000000000000000000000", "eV")
_add("mass*length/time^2", "1", "N", "newton")
_add("mass*length^2/time^3", "1", "W", "watt")
_add("mass*length^2/time^3", "7457/10", "hp", "horsepower")
_add("mass/length/time^2", "1", "Pa", "pascal")
_add("mass/length/time^2", "100", "hPa mbar")
_add("mass/length/time^2", "101325", "atm", "atm atmosphere")
_add("mass/length/time^2", "100000", "bar", "bar")
_add("mass/length/time^2", "101325/760", "mmHg Torr torr")
_add("mass/length/time^2", "8896443230521/1290320000", "psi", "psi")
_add("/time", "1", "Hz", "hertz")
_add("current", "1", "A", "amp ampere")
_add("current*time", "1", "C", "coulomb")
_add("mass*length^2/time^3/current", "1", "V", "volt")
_add("mass*length^2/time^3/current^2", "1", "Ω ohm", "ohm ω")
_add("current^2*time^4/mass/length^2", "1", "F", "farad")
_add("mass*length^2/time^2/current^2", "1", "H", "henry")
_add("mass/time^2/current", "1", "T", "tesla")
_add("amount", "1", "mol", "mol mole")
_add("amount/length^3", "1000", "M", "molar")
_add("data", "8", "B", "byte")
_add("data", "1", "b", "bit")
_add("data/time", "1", "bps")


def _of_symbol(symbol: str) -> tuple[dict[str, int], Fraction]:
    """(dimension, factor) of `kg`, `km/h` or a name."""
    parts = symbol.split("/")
    dimension: dict[str, int] = {}
    factor = Fraction(1)
    for position, part in enumerate(parts):
        found = one_unit(part)
        assert found is not None
        sign = -1 if position else 1
        for name, power in found[0].items():
            dimension[name] = dimension.get(name, 0) + sign * power
        factor *= found[1] ** sign
    return dimension, factor


def one_unit(word: str) -> tuple[dict[str, int], Fraction] | None:
    """(dimension, factor) of one word: a symbol, one with a prefix, or a name in any case, singular or plural."""
    if word.lower() in ("am", "pm"):  # of the clock
        return None
    if word in _SYMBOLS:
        return _SYMBOLS[word]
    prefix, symbol = word[:1], word[1:]
    if prefix in _PREFIXES and symbol in _PREFIXED:
        dimension, factor = _SYMBOLS[symbol]
        return dimension, factor * Fraction(10) ** _PREFIXES[prefix]
    lowered = word.lower()
    for name in (lowered, singular(lowered)):
        if name in _NAMES:
            return _NAMES[name]
        for prefix, power in _PREFIX_NAMES.items():
            if name.startswith(prefix) and name[len(prefix) :] in _NAMES:
                dimension, factor = _NAMES[name[len(prefix) :]]
                return dimension, factor * Fraction(10) ** power
    if len(word) > 1 and word.isupper() and lowered in ("cm", "mm", "km", "kg", "ml", "km", "kwh"):
        return one_unit(lowered)
    return None


def singular(word: str) -> str:
    """`hours` as `hour`; a word in -ss stays."""
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        return word[:-1]
    return word


for _spelling, _same in (
    ("米 м", "m"), ("厘米 см", "cm"), ("毫米 мм", "mm"), ("千米 公里 км", "km"), ("分米 дм", "dm"), ("克 г", "g"),
    ("千克 公斤 кг", "kg"), ("吨 т", "t"), ("秒", "s"), ("分钟 мин", "min"), ("小时 час ч", "h"), ("天", "day"),
    ("升 л", "l"), ("千米/时 千米/小时 公里/小时 км/ч", "km/h"), ("米/秒 м/с", "m/s"),
    ("毫升 мл", "ml"), ("元", "yuan"), ("度 градус градуса градусов grado grad degré grau", "degree"),
    ("metro metri mètre метров метра", "m"), ("centímetro centimètre zentimeter сантиметров сантиметра", "cm"),
    ("kilómetro kilomètre километров километра", "km"),
    ("hora heure stunde stunden ora ore часа часов 小時 時間 时", "h"),
    ("minuto minuti minuten минут минуты 分鐘", "min"),
    ("segundo secondo secondi sekunde sekunden секунд секунды", "s"),
    ("día jour tag tage dia giorni дней дня", "day"), ("gramo gramme gramm grama", "g"), ("litro", "l"),
    ("kilogramo kilogramme kilogramm килограммов", "kg"),
):  # fmt: skip
    for _one in _spelling.split():
        _NAMES[_one] = _of_symbol(_same)
for _prefix, _exponent in (("平方", 2), ("立方", 3)):
    for _one in ("米", "厘米", "毫米", "千米", "分米"):
        _base, _size = _NAMES[_one]
        _NAMES[_prefix + _one] = (
            {name: power * _exponent for name, power in _base.items()},
            _size**_exponent,
        )
