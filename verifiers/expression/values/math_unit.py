"""Units as they stand behind mathematical answers: a small table, no dependency; unknown nouns are compared
as words."""

from __future__ import annotations

import functools
import re
from fractions import Fraction

_NAMES: dict[str, tuple[str, str]] = {}  # spelling -> (dimension, factor to the dimension's base, as text)


def _add(dimension: str, factor: str, spellings: str) -> None:
    for spelling in spellings.split():
        _NAMES[spelling.replace("_", " ")] = (dimension, factor)


_add("length", "1", "m meter metre")
_add("length", "1/100", "cm centimeter centimetre")
_add("length", "1/1000", "mm millimeter millimetre")
_add("length", "1000", "km kilometer kilometre")
_add("length", "1/10", "dm decimeter decimetre")
_add("length", "127/5000", "in inch inche")
_add("length", "381/1250", "ft foot feet")
_add("length", "1143/1250", "yd yard")
_add("length", "201168/125", "mi mile")
_add("mass", "1", "g gram gm")
_add("mass", "1000", "kg kilogram")
_add("mass", "1/1000", "mg milligram")
_add("mass", "45359237/100000", "lb pound")
_add("mass", "45359237/1600000", "oz ounce")
_add("mass", "1000000", "tonne t")
_add("time", "1", "s sec second")
_add("time", "60", "min minute")
_add("time", "3600", "h hr hour")
_add("time", "86400", "day")
_add("time", "604800", "week")
_add("month", "1", "month")
_add("month", "12", "yr year")
_add("volume", "1", "l liter litre")
_add("volume", "1/1000", "ml milliliter millilitre")
_add("money", "1", "$ dollar usd buck")
_add("money", "1/100", "cent ¢")
_add("euro", "1", "€ euro eur")
_add("pound", "1", "£ gbp")
_add("yuan", "1", "¥ yuan rmb yen")
_add("angle", "1", "degree deg °")
_add("radian", "1", "radian rad")
_add("degrees c", "1", "degree_c celsius")
_add("degrees f", "1", "degree_f fahrenheit")
_add("speed", "1", "m/s meter_per_second mps")
_add("speed", "5/18", "km/h kph kmph kilometer_per_hour")
_add("speed", "1397/3125", "mph mile_per_hour mi/h mile/hour")
_add("acceleration", "1", "m/s^2 meter_per_second_squared")
_add("energy", "1", "j joule")
_add("energy", "1000", "kj kilojoule")
_add("force", "1", "n newton")
_add("power", "1", "w watt")
_add("power", "1000", "kw kilowatt")
_add("pressure", "1", "pa pascal")
_add("pressure", "1000", "kpa kilopascal")
_add("frequency", "1", "hz hertz")
_add("voltage", "1", "v volt")
_add("current", "1", "a amp ampere")
_add("resistance", "1", "ohm")

for _spelling, _same in (
    ("米 м", "m"), ("厘米 см", "cm"), ("毫米 мм", "mm"), ("千米 公里 км", "km"), ("分米 дм", "dm"), ("克 г", "g"),
    ("千克 公斤 кг", "kg"), ("吨 т", "t"), ("秒", "s"), ("分钟 мин", "min"), ("小时 час ч", "h"), ("天", "day"),
    ("升 л", "l"), ("千米/时 千米/小时 公里/小时 км/ч", "km/h"), ("米/秒 м/с", "m/s"),
    ("毫升 мл", "ml"), ("元", "yuan"), ("度 градус градуса градусов grado grad degré grau", "degree"),
    ("metro metri mètre метров метра", "m"), ("centímetro centimètre zentimeter сантиметров сантиметра", "cm"),
    ("kilómetro kilomètre километров километра", "km"), ("hora heure stunde stunden ora ore часа часов 小時 時間", "h"),
    ("minuto minuti minuten минут минуты 分鐘", "min"),
    ("segundo secondo secondi sekunde sekunden секунд секунды", "s"),
    ("día jour tag tage dia giorni дней дня", "day"), ("gramo gramme gramm grama", "g"), ("litro", "l"),
    ("kilogramo kilogramme kilogramm килограммов", "kg"),
):  # fmt: skip
    for _one in _spelling.split():
        _NAMES[_one] = _NAMES[_same]
for _prefix, _exponent in (("平方", "2"), ("立方", "3")):
    for _one in ("米", "厘米", "毫米", "千米", "分米"):
        _base = _NAMES[_one]
        _NAMES[_prefix + _one] = (f"{_base[0]}^{_exponent}", str(Fraction(_base[1]) ** int(_exponent)))

_SQUARE = re.compile(r"^(?:sq|square)\s+(\w+)$|^(\w+)\s*\^\s*2$|^(\w+)\s+squared$|^(\w+)\^\{2\}$|^(\w+)2$")
_CUBE = re.compile(r"^(?:cu|cubic)\s+(\w+)$|^(\w+)\s*\^\s*3$|^(\w+)\s+cubed$|^(\w+)\^\{3\}$|^(\w+)3$")
# Words that say nothing of the unit: "5 units", "12 in total".
_EMPTY = {
    "unit",
    "total",
    "in total",
    "altogether",
    "point",
    "of",
    "each",
    "people",
    "person",
    "way",
    "time",
    "piece",
    "square unit",
    "cubic unit",
    "sq unit",
    "units^2",
    "units^3",
    "unit ^2",
    "unit ^3",
    "u",
    "number",
}


def _singular(word: str) -> str:
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        return word[:-1]
    return word


@functools.lru_cache(maxsize=2048)
def _known(unit: str) -> tuple[str, Fraction] | None:
    """(dimension, factor) of a unit in the table, powers included; None for another noun."""
    text = (
        " ".join(_singular(word) for word in unit.split())
        .replace(" / ", "/")
        .replace(" /", "/")
        .replace("/ ", "/")
    )
    text = re.sub(r"\s*\^\s*", "^", text).strip(" .")
    for power, pattern in ((2, _SQUARE), (3, _CUBE)):
        match = pattern.match(text)
        if match:
            name = _singular(next(group for group in match.groups() if group))
            base = _NAMES.get(name)
            if base is None:
                return None
            return f"{base[0]}^{power}", Fraction(base[1]) ** power
    found = _NAMES.get(text)
    return (found[0], Fraction(found[1])) if found else None


def unit_factor(wanted: str, found: str) -> Fraction | None:
    """What the answer's value is multiplied with to be in the reference's unit; None where the units disagree.

    A missing unit, and words that name none (`units`, `in total`), agree with everything. Two known units agree when
    their dimension is the same; other nouns must share a word (`12 apples`, `12 red apples`).
    """
    wanted, found = _cleaned(wanted), _cleaned(found)
    if (
        _empty(wanted)
        and _empty(found)
        and _power(wanted) != _power(found)
        and _power(wanted)
        and _power(found)
    ):
        return None  # square units for cubic units
    if wanted == found or _empty(wanted) or _empty(found):
        return Fraction(1)
    if wanted.startswith("mod ") or found.startswith("mod "):
        return None
    if {wanted, found} in ({"£", "pound"}, {"£", "pounds"}):
        return Fraction(1)
    a, b = _known(wanted), _known(found)
    if a is not None and b is not None:
        if a[0] == b[0]:
            return b[1] / a[1]
        degrees = {a[0], b[0]}
        return Fraction(1) if degrees in ({"angle", "degrees c"}, {"angle", "degrees f"}) else None
    if a is None and b is None:
        shared = {_singular(word) for word in wanted.split()} & {_singular(word) for word in found.split()}
        return Fraction(1) if shared - {"of", "the", "per", "/", "^2", "square"} else None
    return None


def _cleaned(unit: str) -> str:
    text = unit.strip() if unit.strip() in ("A", "V", "W", "N", "J", "K") else unit.strip().lower()
    return " ".join(text.lower().strip(" .").split())


def _power(unit: str) -> int:
    """2 of `square units` and `units^2`, 3 of `cubic units`, 0 where no power is named."""
    if re.search(r"\bsq|\^\s*\{?2", unit):
        return 2
    return 3 if re.search(r"\bcub|\^\s*\{?3", unit) else 0


def _empty(unit: str) -> bool:
    return (
        not unit or " ".join(_singular(word) for word in unit.split()) in _EMPTY or unit.startswith("base ")
    )
