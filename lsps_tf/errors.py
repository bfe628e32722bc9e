"""The one error that a user's mistake raises."""

import unicodedata

_LONGEST = 2000
_KEPT_END = 400
# Categories of characters that move a terminal's cursor or end a line, and bytes of names that are no UTF-8.
_UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")
# These have the rest of a line written from right to left.
_TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


class InputError(ValueError):
    """Bad input from the user: one line that names the file, what was wrong and what to do. Commands exit with 2.

    What a message quotes of a damaged file stays on its line: control characters are escaped, and the middle of what is
    too long is left out.
    """

    def __init__(self, message: object):
        super().__init__(one_line(str(message)))


def one_line(text: str) -> str:
    """A text as a line that a terminal can show."""
    if not text.isprintable():
        text = "".join(_escaped(letter) for letter in text)
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST - _KEPT_END]} ... {text[-_KEPT_END:]}"
    return text


def _escaped(letter: str) -> str:
    if unicodedata.category(letter) in _UNPRINTABLE or letter in _TURNING:
        return letter.encode("unicode_escape").decode()
    return letter
