"""The fast encoder is used only where it gives the same ids, and a difference is named, not written."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertkit.errors import HostError
from bertkit.text import encoders
from bertkit.text.encoder_parity import first_difference, probe
from bertkit.text.encoders import BulkEncoder, DifferenceError, load_nanotoken
from bertkit.text.vocabulary import SPECIAL_TOKENS
from bertkit.text.wordpiece import Casing, load_encoder, save

pytest.importorskip("nanotoken")

LETTERS = "abcdefghijklmnopqrstuvwxyzé北京,.[]#"
TOKENS = [*SPECIAL_TOKENS, *LETTERS, *("##" + c for c in LETTERS[:27]), "the", "cap", "##tain", "mask", "MASK"]


@pytest.fixture(scope="module", params=[True, False], ids=["uncased", "cased"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tokenizer")
    save(TOKENS, out, casing=Casing(do_lower_case=request.param), model_max_length=64)
    return out


def test_nanotoken_passes_the_whole_probe(folder: Path) -> None:
    reference = load_encoder(folder)
    assert first_difference(reference, load_nanotoken(reference), ["The captain."]) is None


@settings(max_examples=300, deadline=None)
@given(texts=st.lists(st.text(max_size=40), min_size=1, max_size=4))
def test_both_libraries_give_the_same_ids_and_word_starts(folder: Path, texts: list[str]) -> None:
    texts = [text.encode("utf-8", "ignore").decode() for text in texts]  # a corpus has no lone surrogates
    for ours, theirs in zip(BulkEncoder(folder)(texts), BulkEncoder(folder, "nanotoken")(texts), strict=True):
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("library", ["tokenizers", "nanotoken"])
def test_special_tokens_in_a_text_are_characters_and_pieces_start_no_word(folder: Path, library: Any) -> None:
    texts = ["captain", "", "[MASK] the"]
    ids, lengths, starts = BulkEncoder(folder, library)(texts)
    assert [TOKENS[i].lower() for i in ids] == ["cap", "##tain", "[", "mask", "]", "the"]
    assert lengths.tolist() == [2, 0, 4]
    assert starts.tolist() == [True, False, True, True, True, True]


def test_the_probe_holds_every_entry_and_special_token(folder: Path) -> None:
    texts = list(probe(sorted(TOKENS)))
    assert texts == list(probe(sorted(TOKENS)))
    words = {word for text in texts for word in text.split(" ")}
    assert words >= set(TOKENS)
    assert "" in texts
    assert any(len(word) > 100 for word in words)


class Wrong:
    """Reads `tokenizers`' ids, but for texts that hold the letter q."""

    def __init__(self, encoder: Any) -> None:
        self.encoder = encoder

    def encode_batch(self, texts: list[str], add_special_tokens: bool) -> Any:
        found = self.encoder.encode_batch(texts, add_special_tokens=add_special_tokens)
        for row, text in enumerate(texts):
            if "q" in text and found.lengths[row]:
                found.ids[found.offsets[row]] += 1
        return found


def test_a_difference_is_found_in_the_probe_in_the_corpus_and_on_the_way(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = load_encoder(folder)
    wrong = Wrong(load_nanotoken(reference))
    assert "q" in str(first_difference(reference, wrong, []))
    monkeypatch.setattr("bertkit.text.encoder_parity.probe", lambda entries: iter(["fine"]))
    assert first_difference(reference, wrong, ["fine", "a quay"]) == "a quay"
    monkeypatch.setattr(encoders, "load_nanotoken", lambda encoder: wrong)
    with pytest.raises(DifferenceError, match="a quay"):
        BulkEncoder(folder, "nanotoken")(["fine"] * 9 + ["a quay"])


def test_a_missing_nanotoken_is_named_with_its_remedy(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nanotoken", None)
    with pytest.raises(HostError, match=r'(?s)nanotoken.*pip install "bertkit\[fast\]"'):
        load_nanotoken(load_encoder(folder))
