import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertkit.text.cleaning import COMPOSED, CONTROL, INVISIBLE, SPACES, clean, clean_with_reasons

# Everything Unicode has except surrogates, with the troublesome characters much more often than chance gives them.
TROUBLE = "\r\n\t\x00\x0b\x0c\x1f\x7f\x85\x9f\u00a0\u00ad\u0301\u200b\u200d\u2028\u2029\u3000\ufeffée\u0041 \n"
texts = st.text(st.one_of(st.sampled_from(TROUBLE), st.characters(exclude_categories=["Cs"])))


@pytest.mark.parametrize(
    ("raw", "cleaned", "reasons"),
    [
        ("plain text", "plain text", ()),
        ("one\r\ntwo\rthree\nfour", "one\ntwo\nthree\nfour", ()),
        ("a\u2028b\u2029c\x85d", "a\nb\nc\nd", ()),
        ("a\n\n\n  \nb", "a\nb", (SPACES,)),
        ("nul\x00 bell\x07 c1\x9b", "nul bell c1", (CONTROL,)),
        ("\ufeffzero\u200bwidth so\u00adft \u202eright", "zerowidth soft right", (INVISIBLE,)),
        ("no\u00a0break　ideographic\ttab  two", "no break ideographic tab two", (SPACES,)),
        ("e\u0301", "é", (COMPOSED,)),
        # Composed only after what stood between has gone.
        ("e\u200b\u0301", "é", (INVISIBLE, COMPOSED)),
        ("他说：　“好。”", "他说： “好。”", (SPACES,)),
        (" \n\t\x00", "", (CONTROL, SPACES)),
    ],
)
def test_cleaning_and_its_reasons(raw: str, cleaned: str, reasons: tuple[str, ...]) -> None:
    assert clean_with_reasons(raw) == (cleaned, reasons)


@given(texts)
def test_a_cleaned_text_is_in_order_and_stays_as_it_is(raw: str) -> None:
    cleaned = clean(raw)
    assert clean_with_reasons(cleaned) == (cleaned, ())
    assert unicodedata.is_normalized("NFC", cleaned)
    for line in cleaned.split("\n") if cleaned else []:
        assert line
        assert line == " ".join(line.split())
        assert not any(unicodedata.category(character) == "Cc" for character in line)


@given(st.text(st.characters(categories=["L", "N", "P"])).map(lambda text: unicodedata.normalize("NFC", text)))
def test_letters_numbers_and_punctuation_are_never_lost(text: str) -> None:
    assert clean(text) == text
