"""Numbers from outside: refused by their length before they are read."""


def whole(text: str, most: int) -> int | None:
    """Return *text* as a number from 1 to *most*, None when it is not one."""
    if len(text) > len(str(most)) or not (text.isascii() and text.isdigit()):
        return None
    return number if 0 < (number := int(text)) <= most else None
