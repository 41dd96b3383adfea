"""Units behind mathematical answers, against pint's registry and by hand."""

from fractions import Fraction

import pytest

from verifiers.expression.values.math_unit import conversion
from verifiers.reading.unit import conversion as by_pint

PAIRS = [
    ("km", "m"),
    ("cm^2", "mm^2"),
    ("m/s", "km/h"),
    ("mph", "km/h"),
    ("g/cm^3", "kg/m^3"),
    ("L", "dm^3"),
    ("mL", "cm^3"),
    ("kWh", "J"),
    ("MW", "mW"),
    ("MHz", "mHz"),
    ("atm", "Pa"),
    ("kPa", "N/m^2"),
    ("mA", "A"),
    ("N", "kg*m/s^2"),
    ("ft", "inch"),
    ("lb", "g"),
    ("hour", "min"),
    ("eV", "J"),
    ("nm", "m"),
    ("V", "W/A"),
    ("kohm", "ohm"),
    ("hectare", "m^2"),
]


@pytest.mark.parametrize(("wanted", "found"), PAIRS)
def test_factors_are_those_of_pint(wanted, found):
    change = conversion(wanted, found)
    expected = by_pint(found, wanted, Fraction(1))
    assert change is not None
    assert expected is not None
    assert float(change.factor) == pytest.approx(float(expected), rel=1e-9)
    assert change.offset == 0


def test_temperatures_have_an_offset():
    change = conversion("°C", "K")
    assert change is not None
    assert change.factor * Fraction("300.15") + change.offset == 27
    change = conversion("degrees C", "degrees F")
    assert change is not None
    assert change.factor * 212 + change.offset == 100


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("Pa", "pA"),
        ("N", "kg"),
        ("cm^2", "cm"),
        ("people", "cm"),
        ("square units", "units"),
        ("$", "€"),
        ("km north", "km south"),
        ("degrees clockwise", "degrees counterclockwise"),
        ("red balls", "blue balls"),
        ("boys", "boys and girls"),
        ("am", "pm"),
        ("mod 5", "mod 7"),
        ("MB", "kg"),
    ],
)
def test_units_that_disagree(wanted, found):
    assert conversion(wanted, found) is None


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("apples", "red apples"),
        ("km", "km north"),
        ("", "cm"),
        ("units", "cm"),
        ("square units", "cm^2"),
        ("hours", "hrs"),
        ("people", "students"),
        ("£", "pounds"),
        ("°C", "°"),
    ],
)
def test_units_that_agree(wanted, found):
    assert conversion(wanted, found) == (1, 0)
