"""Strings from data are shown as they are and mean nothing."""

import unicodedata

from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bertkit.reporting.visible_text import excerpt, markdown, visible

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
# Much of what a parser may stumble over, and anything at all.
PIECES = [
    *["<script>", "</td>", "|", "`", "*", "_", "[x](javascript:1)", "&lt;", "\\", "#", "- ", "1. ", "~~", "<!--", ">"],
    *["\n", "\r", "\t", "\x1b[31m", "\u202e", "@a", "http://a.b", "www.a.b", "![i](u)", "$x$", ":", "=", "---"],
    *["中文", "عربي", "é", " ", "{{ 7 * 7 }}", "{% raw %}", "'", '"', "\x00", "\u2028"],
]
HOSTILE = st.text() | st.lists(st.sampled_from(PIECES), max_size=8).map("".join)


@given(HOSTILE)
def test_nothing_invisible_that_steers_is_left(text):
    shown = visible(text)
    assert not any(unicodedata.category(c) in ("Cc", "Zl", "Zp", "Cs") for c in shown)
    assert not any(
        unicodedata.bidirectional(c) in ("RLO", "LRO", "RLE", "LRE", "PDF", "RLI", "LRI", "FSI", "PDI") for c in shown
    )


def test_controls_are_spelled_out_and_writing_is_left_alone():
    assert visible("a\u202eb\x1b[0m") == "a⟨U+202E⟩b⟨U+001B⟩[0m"
    family = "👩\u200d👩\u200d👧"
    assert visible(f"中文 עברית naïve {family}") == f"中文 עברית naïve {family}"


@given(HOSTILE)
@example("1. one")
@example("- one")
@example("a_b _c_ www.d.e f://g")
def test_markdown_shows_exactly_the_text(text):
    expected = visible(text).strip()
    (inline,) = [token for token in PARSER.parse("x " + markdown(text)) if token.type == "inline"]
    assert {child.type for child in inline.children} <= {"text"}
    assert inline.content.startswith("x")
    shown = "".join(child.content for child in inline.children)
    assert shown.replace("@\u200b", "@").split() == f"x {expected}".split()


@given(HOSTILE)
@example("1. one")
@example("+ one")
@example("2) one")
def test_markdown_starts_no_block(text):
    types = [token.type for token in PARSER.parse(markdown(text))]
    assert types in (["paragraph_open", "inline", "paragraph_close"], [])


@given(st.text(), st.integers(2, 50))
def test_excerpts_are_short_and_on_one_line(text, limit):
    short = excerpt(text, limit=limit)
    assert len(short) <= limit
    assert len(short.splitlines()) <= 1


def test_excerpts_mark_line_breaks_and_cuts():
    assert excerpt("A title\n\nIts  first\tparagraph.", limit=40) == "A title ¶ Its first paragraph."
    assert excerpt("abcdef ghi", limit=8) == "abcdef…"
