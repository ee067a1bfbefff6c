"""Numbers in sentences."""


def counted(number: int, what: str) -> str:
    """`1 hold`, `2 holds`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
