"""Numbers in the cells of a spreadsheet's file: with separators where they can be read in one way only."""

import re
from typing import Final

_WHOLE: Final = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_PRICE: Final = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", re.ASCII)
_DECIMAL_COMMA: Final = re.compile(r"([0-9]{1,18}),([0-9]{1,18})", re.ASCII)
_GROUPED: Final = re.compile(
    r"[1-9][0-9]{0,2}(?P<separator>[.,' \u00a0\u202f\u2019])[0-9]{3}(?:(?P=separator)[0-9]{3}){0,5}"
    r"(?P<rest>(?P<point>[.,])[0-9]{1,18})?",
    re.ASCII,
)
_ONE_GROUP: Final = re.compile(r"([1-9][0-9]{0,2})[.,]([0-9]{3})", re.ASCII)
_GROUP: Final = 3


def whole_number(cell: str) -> int | None:
    """`1000`, `1 000`, `1'000` or `1,000,000`. None for `1,000` and `1.000`, which may be decimals of 1."""
    if _WHOLE.fullmatch(cell):
        return int(cell)
    found = _grouped(cell)
    return int(found) if found is not None and "." not in found else None


def price(cell: str) -> str | None:
    """A number with a decimal point, such as `1299.99` for `1,299.99`, `1.299,99`, `1 299,99` or `1299,99`.

    None for `1,299`, which may be 1299 or a little more than 1.
    """
    if _PRICE.fullmatch(cell):
        return cell
    decimal = _DECIMAL_COMMA.fullmatch(cell)
    if decimal is not None:
        whole, part = decimal.groups()
        may_be_group = len(part) == _GROUP and len(whole) <= _GROUP and whole[0] != "0"
        return None if may_be_group else f"{whole}.{part}"
    return _grouped(cell)


def doubt(cell: str, *, decimals: bool) -> str:
    """The two numbers that such a cell as `1,299` may mean, and how to write it; empty if that isn't the fault.

    `decimals` says whether the number may have decimal places. If it may, `1.299` is read as such and in no doubt.
    """
    found = _ONE_GROUP.fullmatch(cell)
    if found is None or (decimals and "." in cell):
        return ""
    whole, group = found.groups()
    also = f" or {whole},{group}.00" if decimals else ""
    part = group.rstrip("0")
    return f"{cell} may be {whole}{group} or {whole}{part and '.'}{part}; write {whole}{group}{also}"


def _grouped(cell: str) -> str | None:
    """A number in groups of three digits, without the separators; None if it isn't one, or may be something else."""
    found = _GROUPED.fullmatch(cell)
    if found is None or found["point"] == found["separator"]:
        return None
    rest = found["rest"] or ""
    grouped = cell.removesuffix(rest)
    certain = found["separator"] not in ".," or rest or grouped.count(found["separator"]) > 1
    if not certain:
        return None
    return grouped.replace(found["separator"], "") + rest.replace(",", ".")
