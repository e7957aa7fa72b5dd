"""Text files in UTF-8: which line holds a byte that is none, and what to do about it.

Must not: know what the text is, or replace a character.
"""

import codecs
import re

LINE_END = re.compile(rb"\r\n|\r|\n")
UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
UNWRITABLE = re.compile("[\0\ud800-\udfff]")
"""What `decoded` would not give back."""
HALF_CHARACTER = re.compile("[\ud800-\udfff]")
"""A lone surrogate: half of a character in UTF-16, which no UTF-8 text can hold."""


class TextError(ValueError):
    """Bytes or characters that are not text; the message says the line, from 1."""


def decoded(raw: bytes, first_line: int = 1) -> str:
    """The bytes as text; a byte-order mark at their beginning is left out.

    Raises:
        TextError: if a byte is not UTF-8, or NUL; names its line, the first being `first_line`.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = f"is not UTF-8 text (byte {raw[error.start]:#04x})"
        raise _not_text(raw, error.start, found, first_line) from None
    if b"\0" in raw:
        raise _not_text(raw, raw.index(b"\0"), "holds the character NUL", first_line)
    return text


def _not_text(raw: bytes, place: int, found: str, first_line: int) -> TextError:
    line = first_line + len(LINE_END.findall(raw[:place]))
    kind = "UTF-16" if raw.startswith(UTF16_MARKS) or b"\0" in raw[:100] else "another encoding"
    return TextError(f"line {line} {found}; the file may be in {kind}: save it in UTF-8")


def require_whole(text: str) -> None:
    r"""Refuse a text that holds half a character, as JSON can say by an escape like \ud83d.

    Raises:
        TextError: names the place and the escape.
    """
    half = HALF_CHARACTER.search(text)
    if half is not None:
        around = text[max(0, half.start() - 20) : half.end() + 20]
        raise TextError(
            f"character {half.start() + 1} is half of one (\\u{ord(half[0]):04x}, in {around!a}): "
            "a text was cut inside a character, such as an emoji. Cut it elsewhere, or remove the half"
        )
