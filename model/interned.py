"""Values kept once, and named by numbers: numbers are small, and quick to compare."""

from typing import Generic, TypeVar

Value = TypeVar("Value")


class Interned(Generic[Value]):
    """Values that can be hashed; equal ones have the same number."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[type, Value], int] = {}
        self._values: list[Value] = []

    def add(self, value: Value) -> int:
        """The number of the value, a new one if it is new."""
        key = type(value), value  # True isn't 1 here.
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._values)
            self._values.append(value)
        return number

    def __getitem__(self, number: int) -> Value:
        return self._values[number]

    def __len__(self) -> int:
        return len(self._values)
