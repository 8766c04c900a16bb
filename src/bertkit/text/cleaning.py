"""Text as it comes to text to rely on: Unicode NFC, no invisible characters, single spaces, a paragraph a line."""

import re
import unicodedata

CONTROL = "control characters removed"
INVISIBLE = "invisible characters removed"
COMPOSED = "Unicode composed (NFC)"
SPACES = "white space folded"

# NEL, line and paragraph separator mean what `\n` means.
_RARE_LINE_ENDS = ("\r", "\x85", "\u2028", "\u2029")
_LINE_ENDS = re.compile("\r\n?|[\x85\u2028\u2029]")
# C0 and C1 without tab, line feed, vertical tab and form feed, which are white space.
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f]")
# Soft hyphen, zero-width and direction marks, byte order mark, interlinear anchors: BERT's own cleaning drops them all.
_INVISIBLE = re.compile("[\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")


def clean(text: str) -> str:
    """`text` in NFC, without control and invisible characters, one paragraph a line.

    Every run of white space inside a line (no-break and ideographic spaces too) becomes one space, lines are stripped
    and blank lines are left out. Cleaning twice is the same as cleaning once.
    """
    return clean_with_reasons(text)[0]


def clean_with_reasons(text: str) -> tuple[str, tuple[str, ...]]:
    """`clean(text)` and what had to be changed, for counting; line ends and blank lines are no change."""
    reasons = []
    if any(end in text for end in _RARE_LINE_ENDS):
        text = _LINE_ENDS.sub("\n", text)
    if not text.isascii() and _INVISIBLE.search(text):
        text = _INVISIBLE.sub("", text)
        reasons.append(INVISIBLE)
    if _CONTROL.search(text):
        text = _CONTROL.sub("", text)
        reasons.append(CONTROL)
    if not unicodedata.is_normalized("NFC", text):
        text = unicodedata.normalize("NFC", text)
        reasons.append(COMPOSED)
    lines = text.split("\n")
    folded = [" ".join(line.split()) for line in lines]
    if folded != lines:
        reasons.append(SPACES)
    return "\n".join(filter(None, folded)), tuple(reasons)
