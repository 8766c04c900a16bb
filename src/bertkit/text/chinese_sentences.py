"""Where sentences end in Chinese text of either script: at 。！？ and their kin, outside quotation marks and brackets."""

import re
from bisect import bisect_left
from collections.abc import Iterator

# Speech of more characters than this is cut at its own full stops, like any text.
LONGEST_SPEECH = 120

_CLOSING = {"“": "”", "‘": "’", "「": "」", "『": "』", "（": "）", "(": ")", "《": "》", "〈": "〉", "【": "】"}
_BRACKETS = "）)》〉】"
_PAIRED = re.compile(f'[{"".join(map(re.escape, (*_CLOSING, *_CLOSING.values())))}"]')
_STOPS = "。｡！？!?．"
# A dot is a full stop after a Chinese character or a closing mark, or after an English word and before a capital;
# `!` and `?` are none within Latin text, such as an address, nor `．` after a digit or a Latin letter.
_END = re.compile(
    r"(?:[。｡！？]|(?<![0-9０-９A-Za-zＡ-Ｚａ-ｚ])．|[!?](?![\w=&/%])|(?<![ -~])[!?]"
    r"|(?<=[一-鿿㐀-䶿”」』）》])\.(?![A-Za-z0-9])|(?<=[a-z]{3})\.(?=\s+[A-Z]|\s*[一-鿿])|(?<=[a-z]{3})\.$)"
    rf"[{_STOPS}.…～~]*"
)
_AFTER = re.compile(r"[”’」』）)》〉】\"]*")
# What goes on with a sentence, and cannot open one.
_GOES_ON = re.compile(r"\s*[，、；：,;:·…—～~。．.！!？?”’」』）)》〉】]")
_WORDLESS = re.compile(r"[\W_]*")


def pieces(text: str) -> list[str]:
    """`text` cut after each sentence; nothing is lost or moved.

    Closing marks stay with what they close: `他說：「好。走吧！」然後出門。` are two sentences. Speech within speech, marks of both
    scripts and straight quotation marks are known; a mark that has no partner in the paragraph protects nothing. What
    holds no letter, character or digit belongs to the sentence before it.

    Args:
        text: a paragraph, without line ends.
    """
    opened = _spans(text)
    found: list[str] = []
    start = 0
    for end in _ends(text, opened):
        if end > start:
            found.append(text[start:end])
            start = end
    if start < len(text):
        found.append(text[start:])
    return _joined(found)


def _spans(text: str) -> dict[int, int]:
    """Opening to closing place of the marks that belong together."""
    waiting: list[int] = []
    partner: dict[int, int] = {}
    for match in _PAIRED.finditer(text):
        place, mark = match.start(), match[0]
        if mark in _CLOSING or (mark == '"' and not any(text[one] in '"“' for one in waiting)):
            # The same mark twice: the first was never closed, because speech within speech has marks of its own.
            waiting = [one for one in waiting if text[one] != mark]
            waiting.append(place)
            continue
        for i in range(len(waiting) - 1, -1, -1):
            if _close(text[waiting[i]], mark):
                partner[waiting[i]] = place
                del waiting[i:]
                break
    return partner


def _close(opening: str, mark: str) -> bool:
    """Whether `mark` closes; straight and curly quotation marks are often mixed."""
    return _CLOSING.get(opening) == mark or (opening in '"“' and mark in '"”')


def _ends(text: str, partner: dict[int, int]) -> Iterator[int]:
    """Where sentences end, in order."""
    straight = {place for place in partner if text[place] == '"'}
    guarded = _outermost(partner)
    firsts = [first for first, _ in guarded]
    start = 0
    for match in _END.finditer(text):
        end = match.end()
        for place in range(end, _after(text, end)):
            if place in straight:
                break
            end = place + 1
        i = bisect_left(firsts, end) - 1
        if i >= 0 and end <= guarded[i][1]:
            continue
        # A bracket ends a sentence only if it holds a whole one.
        closed = i >= 0 and match.end() <= guarded[i][1] < end and text[guarded[i][1]] in _BRACKETS
        if closed and text[start : guarded[i][0]].strip():
            continue
        if _GOES_ON.match(text, end):
            continue
        yield end
        start = end


def _after(text: str, end: int) -> int:
    match = _AFTER.match(text, end)
    return match.end() if match else end


def _outermost(partner: dict[int, int]) -> list[tuple[int, int]]:
    """The spans that are not too long to be kept whole, without those within others."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(partner.items()):
        if last - first <= LONGEST_SPEECH and (not found or first > found[-1][1]):
            found.append((first, last))
    return found


def _joined(found: list[str]) -> list[str]:
    """What holds no word goes with the piece before it, at the very start with the one after it."""
    joined: list[str] = []
    for piece in found:
        if joined and (_WORDLESS.fullmatch(piece) or _WORDLESS.fullmatch(joined[-1])):
            joined[-1] += piece
        else:
            joined.append(piece)
    return joined
