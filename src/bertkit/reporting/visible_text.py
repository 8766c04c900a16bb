"""Strings from data, made harmless to look at: what would steer a terminal or turn text around is spelled out."""

import re

# C0 and C1 controls, the bidirectional controls, line and paragraph separators, the byte order mark, interlinear
# annotations, lone surrogates, noncharacters and tags. Zero-width joiners stay: emoji and many scripts need them.
_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufdd0-\ufdef\ufffe\uffff"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
# ASCII characters that can mean something in Markdown or HTML, wherever they stand in a line: always, but for `_`
# within a word and `:` before white space, which every sentence has; the stop is one after `www`, which makes a link.
_MARKUP = re.compile(r"[!#$&*<=>@\[\\\]^`{|}~]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|:(?!\s|$)|(?<=[wW])\.")
# These mean something at the start of a line only: lists, rules.
_LINE_START = re.compile(r"[-+]|\d{1,9}(?=[.)](?:\s|$))")


def visible(text: str) -> str:
    """`text` with every control character as its code point, such as `⟨U+202E⟩`."""
    return _INVISIBLE.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", text)


def markdown(text: str) -> str:
    """`text` as GitHub Markdown that shows just these characters, and nothing else, wherever it stands in a line.

    References such as `&#42;` never count as markup (CommonMark 0.31, 2.5). A zero-width space follows `@`, which
    GitHub would turn into a mention or a mail address after that.
    """
    if text and not visible(text).strip():
        return "&#160;"  # blank, and still something in its place
    text = visible(text).strip()
    escaped = _MARKUP.sub(_reference, text)
    # What `_LINE_START` finds is no character of `_MARKUP`, so it still stands first.
    return f"&#{ord(text[0])};{escaped[1:]}" if _LINE_START.match(text) else escaped


def excerpt(text: str, *, limit: int) -> str:
    """The first `limit` characters of `text` on one line, `¶` for line breaks, `…` where it was cut."""
    lines = (" ".join(line.split()) for line in text.splitlines())
    folded = " ¶ ".join(line for line in lines if line)
    return folded if len(folded) <= limit else folded[: limit - 1].rstrip() + "…"


def _reference(found: re.Match[str]) -> str:
    return f"&#{ord(found[0])};" + ("\u200b" if found[0] == "@" else "")
