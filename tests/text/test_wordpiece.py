import hashlib
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertkit.errors import ConfigError, DataError, IntegrityError, StageError
from bertkit.text import wordpiece
from bertkit.text.vocabulary import read_vocabulary
from bertkit.text.wordpiece import SPECIAL_TOKENS, Casing, count_alphabet, load_encoder, save, train
from bertkit.text.wordpiece_quality import measure, prove_readers_agree, unused_entries

ENGLISH = [
    "The lighthouse keeper counted the ships that passed before breakfast.",
    "Counting ships is harder than it sounds, he said; they keep moving.",
    "A ship called Élan passed twice, or perhaps it was two ships?",
    "Keepers keep keeping: kept, keeper, keepers, keeping, keep.",
    "Ünlucky naïve Zoë paid £3.50 for a CAFÉ au lait & a map (1:50,000).",
] * 3
CHINESE = ["灯塔看守人在早餐前数船。", "他说：数船比听起来难。", "有一艘船叫Élan号，经过两次。", "船船船，数数数。"] * 3


def texts() -> list[str]:
    return ENGLISH + CHINESE


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer")
    tokens, _ = train(texts, vocab_size=300, casing=Casing())
    save(tokens, path, casing=Casing(), model_max_length=128)
    return path


def pieces(folder: Path, text: str) -> list[str]:
    tokens: list[str] = load_encoder(folder).encode(text).tokens
    return tokens


# --- training --------------------------------------------------------------------------------------------------

TRAIN = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_wordpiece import texts
from bertkit.text.wordpiece import Casing, save, train
tokens, _ = train(texts, vocab_size=300, casing=Casing())
save(tokens, Path(sys.argv[1]), casing=Casing(), model_max_length=128)
"""


def test_training_gives_the_same_bytes_in_every_process(folder: Path, tmp_path: Path) -> None:
    digests = {digest(folder)}
    for seed, threads in (("1", "1"), ("2", "4")):
        out = tmp_path / seed
        out.mkdir()
        setting = {"PYTHONHASHSEED": seed, "RAYON_NUM_THREADS": threads, "TOKENIZERS_PARALLELISM": "true"}
        command = [sys.executable, "-c", TRAIN, str(out), str(Path(__file__).parent)]
        subprocess.run(command, check=True, env={**os.environ, **setting})
        digests.add(digest(out))
    assert len(digests) == 1


def digest(folder: Path) -> str:
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == ["tokenizer.json", "tokenizer_config.json", "vocab.txt"]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def test_training_again_in_one_process_gives_the_same_tokens() -> None:
    assert len({tuple(train(texts, vocab_size=250, casing=Casing())[0]) for _ in range(6)}) == 1


def test_the_vocabulary_is_in_order_and_no_larger_than_asked() -> None:
    tokens, alphabet = train(texts, vocab_size=200, casing=Casing())
    assert len(tokens) == len(set(tokens)) == 200
    assert tuple(tokens[:5]) == SPECIAL_TOKENS
    end = 5 + len(alphabet.characters)
    assert tuple(tokens[5:end]) == alphabet.characters == tuple(sorted(alphabet.characters))
    assert tuple(tokens[end : end + len(alphabet.continuing)]) == tuple("##" + c for c in alphabet.continuing)
    assert "keep" in tokens


def test_chinese_characters_and_punctuation_need_no_continuation() -> None:
    alphabet = count_alphabet(texts(), casing=Casing(), limit=6000, coverage=1)
    assert {"船", "，", "k", "3"} <= set(alphabet.characters)
    assert {"k", "3"} <= set(alphabet.continuing)
    assert not {"船", "，", ",", "("} & set(alphabet.continuing)
    joined = count_alphabet(CHINESE, casing=Casing(tokenize_chinese_chars=False), limit=6000, coverage=1)
    assert "船" in joined.continuing


def test_the_alphabet_is_what_is_left_after_lower_casing_and_accents() -> None:
    def letters(casing: Casing) -> set[str]:
        return {c for c in count_alphabet(ENGLISH, casing=casing, limit=6000, coverage=1).characters if c.isalpha()}

    assert letters(Casing()) == set("abcdefghiklmnoprstuvwyz")
    assert letters(Casing(strip_accents=False)) - letters(Casing()) == {"é", "ü", "ï", "ë"}
    assert {"É", "C", "Z"} <= letters(Casing(do_lower_case=False))
    assert "É" not in letters(Casing(do_lower_case=False, strip_accents=True))


def test_rare_characters_are_cut_but_ascii_is_not() -> None:
    text = ["船" * 5000 + "数" * 4000 + "灯" + "~" + "z"]
    covered = count_alphabet(text, casing=Casing(), limit=6000, coverage=0.999)
    assert (covered.characters, covered.cut) == (("z", "~", "数", "船"), 1)
    assert covered.cut_share == pytest.approx(1 / 9003)
    limited = count_alphabet(text, casing=Casing(), limit=2, coverage=1)
    assert (limited.characters, limited.cut) == (("数", "船"), 3)


def test_a_vocabulary_smaller_than_its_alphabet_names_the_smallest_that_works() -> None:
    with pytest.raises(ConfigError, match="vocab_size 20 is too small") as e:
        train(texts, vocab_size=20, casing=Casing())
    smallest = count_alphabet(texts(), casing=Casing(), limit=6000, coverage=0.9999).smallest_vocabulary
    assert f"Set vocab_size to {smallest}" in str(e.value)
    tokens, _ = train(texts, vocab_size=smallest, casing=Casing())
    assert len(tokens) == smallest
    with pytest.raises(ConfigError):
        train(texts, vocab_size=smallest - 1, casing=Casing())


@pytest.mark.parametrize("empty", [[], ["", " \n"]])
def test_no_text_is_an_error(empty: list[str]) -> None:
    with pytest.raises(DataError, match="no text to train"):
        train(lambda: empty, vocab_size=100, casing=Casing())


# --- readers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("casing", [Casing(), Casing(do_lower_case=False), Casing(True, False, False)])
def test_all_readers_agree(tmp_path: Path, casing: Casing) -> None:
    from transformers import AutoTokenizer, BertTokenizer

    tokens, _ = train(texts, vocab_size=300, casing=casing)
    save(tokens, tmp_path, casing=casing, model_max_length=128)
    proof = prove_readers_agree(tmp_path, texts(), casing=casing, model_max_length=128)
    assert proof == {
        "texts": 27,
        "skipped": 0,
        "readers": ["AutoTokenizer", "BertTokenizer", "vocab.txt"],
        "differences": 0,
    }
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert isinstance(loaded, BertTokenizer)
    assert loaded.model_max_length == 128
    assert loaded.all_special_ids == [1, 3, 0, 2, 4]
    assert loaded("The ships?")["input_ids"] == [2, *load_encoder(tmp_path).encode("The ships?").ids, 3]


def test_a_reader_that_differs_is_named_with_the_text(tmp_path: Path) -> None:
    casing = Casing(do_lower_case=False)
    tokens, _ = train(texts, vocab_size=300, casing=casing)
    save(tokens, tmp_path, casing=casing, model_max_length=128)
    with pytest.raises(IntegrityError, match=r"vocab\.txt reads this tokenizer differently: 'The light"):
        prove_readers_agree(tmp_path, ENGLISH, casing=Casing(), model_max_length=128)


def test_google_s_algorithm_reads_vocab_txt_to_the_same_pieces(folder: Path) -> None:
    vocabulary = set((folder / "vocab.txt").read_text(encoding="utf-8").split("\n"))
    for text in texts():
        words = wordpiece.Casing().normalizer().normalize_str(text)
        expected = [piece for word in split_words(words) for piece in longest_first(word, vocabulary)]
        assert pieces(folder, text) == expected


def split_words(text: str) -> list[str]:
    return "".join(f" {c} " if unicodedata.category(c)[0] == "P" else c for c in text).split()


def longest_first(word: str, vocabulary: set[str]) -> list[str]:
    found: list[str] = []
    start = 0
    while start < len(word):
        for end in range(len(word), start, -1):
            piece = ("##" if start else "") + word[start:end]
            if piece in vocabulary:
                found.append(piece)
                start = end
                break
        else:
            return ["[UNK]"]
    return found


# --- encoding --------------------------------------------------------------------------------------------------


def test_special_tokens_in_a_text_are_only_characters(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    forged = [*ENGLISH, "The [MASK] and [SEP] and ##ing of [CLS] [PAD] [UNK]"]
    tokens, _ = train(lambda: forged, vocab_size=300, casing=Casing())
    save(tokens, tmp_path, casing=Casing(), model_max_length=128)
    encoder = load_encoder(tmp_path)
    for token in SPECIAL_TOKENS:
        ids = encoder.encode(f"a {token} ship {token}").ids
        assert not set(ids) & set(range(5))
    assert "##ing" not in encoder.encode("the ##ing").tokens[1:2]
    # This is why: to the ordinary reader the text holds the token itself.
    assert 4 in AutoTokenizer.from_pretrained(tmp_path)("a [MASK] ship")["input_ids"]
    proof = prove_readers_agree(tmp_path, forged, casing=Casing(), model_max_length=128)
    assert (proof["texts"], proof["skipped"]) == (15, 1)


def test_the_encoder_adds_and_cuts_nothing(folder: Path) -> None:
    assert pieces(folder, "ship") == ["ship"]
    assert len(pieces(folder, "ship " * 1000)) == 1000
    assert pieces(folder, "") == []
    assert pieces(folder, "船Ship") == ["船", "ship"]


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_can_be_encoded(folder: Path, text: str) -> None:
    assert set(load_encoder(folder).encode(text).ids) <= {1, *range(5, 300)}


def test_a_folder_without_a_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"no tokenizer\.json"):
        load_encoder(tmp_path)


# --- figures ---------------------------------------------------------------------------------------------------


def test_figures_are_what_they_are_called(folder: Path) -> None:
    text = "The ships, 船? \U0001f6a2\U0001f6a2 keepers"
    found = pieces(folder, text)
    assert found.count("[UNK]") == 1
    figures = measure(folder, [text, ""])
    assert figures["measured_on"] == {"texts": 2, "words": 7, "tokens": len(found), "characters": len(text)}
    assert figures["fertility"] == round(len(found) / 7, 4)
    assert figures["unknown_rate"] == round(1 / len(found), 6)
    assert figures["characters_per_token"] == round(len(text) / len(found), 4)


def test_unused_entries(folder: Path) -> None:
    size = load_encoder(folder).get_vocab_size()
    assert unused_entries(folder, []) == {"unused": size - 5, "characters": 0}
    assert unused_entries(folder, ["ship ship 船"]) == {"unused": size - 7, "characters": 11}


def test_a_tokenizer_written_anew_is_read_anew(tmp_path: Path) -> None:
    for words, expected in ((["soup"], [5]), (["bread", "soup"], [6])):
        wordpiece.save([*wordpiece.SPECIAL_TOKENS, *words], tmp_path, casing=wordpiece.Casing(), model_max_length=8)
        assert wordpiece.load_encode(tmp_path)(["soup"]) == [expected]
        assert read_vocabulary(tmp_path).size == 5 + len(words)
