"""Words as units: counted in a training split, numbered, and saved as a `tokenizers` vocabulary of whole words.

A folder with such a `tokenizer.json` is read by `load_encoder` and `read_vocabulary` as a WordPiece tokenizer's is.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from bertkit import storage
from bertkit.text.vocabulary import SPECIAL_TOKENS
from bertkit.text.words import load_segmenter

ChineseUnits = Literal["character", "word"]

UNKNOWN = "[UNK]"
_RUN = 500  # words parted from each other at once: a slice takes as long as what it is cut from
SEGMENTER = "segmenter"  # the key of `tokenizer_config.json` under which a segmenter stands
# English as treebanks part it: clitics such as n't and 's by themselves, numbers and hyphenated words whole.
_WORDS = Regex(
    r"\w+?(?=n['’]t\b)|n['’]t\b|['’](?:s|re|ve|ll|d|m)\b|\d+(?:[.,]\d+)+|\w[\w\u0300-\u036f]*(?:[-.&/]\w+)*|[^\w\s]"
)


def word_tokenizer(
    words: Sequence[str], *, lowercase: bool, chinese_units: ChineseUnits = "character", whole: bool = False
) -> Tokenizer:
    """A tokenizer over `words`, which get the ids from 1 on, [UNK] 0, the other special tokens the last.

    In a text, no special token can be spelt: of them only [UNK] is in the vocabulary, and it stands for itself.

    Args:
        whole: texts are single words and stay whole, as the tokens of tagged sentences do.
    """
    tokenizer = Tokenizer(models.WordLevel({UNKNOWN: 0, **{word: i for i, word in enumerate(words, 1)}}, UNKNOWN))
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=not whole and chinese_units == "character",
        strip_accents=False,
        lowercase=lowercase,
    )
    tokenizer.pre_tokenizer = (
        pre_tokenizers.WhitespaceSplit() if whole else pre_tokenizers.Split(_WORDS, "removed", invert=True)
    )
    if not whole and chinese_units == "word":
        tokenizer.pre_tokenizer = segmented_by_words()
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    return tokenizer


def save(tokenizer: Tokenizer, out: Path) -> None:
    """Write `tokenizer.json` and `tokenizer_config.json`, which names the segmenter where there is one."""
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": UNKNOWN, "pad_token": "[PAD]"}
    if type(tokenizer.pre_tokenizer) is pre_tokenizers.PreTokenizer:  # one written in Python
        config[SEGMENTER] = "rjieba"
        tokenizer.pre_tokenizer = pre_tokenizers.Split(_WORDS, "removed", invert=True)
    storage.write_text(out / "tokenizer.json", tokenizer.to_str(pretty=True))
    storage.write_json(out / "tokenizer_config.json", config)


def count_words(texts: Iterable[str], split: Callable[[str], list[str]]) -> Counter[str]:
    """How often each word stands in `texts`."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(split(text))
    return counts


def splitter(tokenizer: Tokenizer) -> Callable[[str], list[str]]:
    """A function from a text to its words, as `tokenizer` sees them."""

    def split(text: str) -> list[str]:
        normalized = tokenizer.normalizer.normalize_str(text)
        return [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normalized)]

    return split


def frequent(counts: Counter[str], *, min_count: int, max_size: int) -> list[str]:
    """The words that are kept, the most frequent first, in the order of the alphabet where they are equal."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [word for word, count in ordered[:max_size] if count >= min_count and word not in SPECIAL_TOKENS]


def segments_words(folder: Path) -> bool:
    """Whether the tokenizer in `folder` was saved with a segmenter, which `tokenizer.json` cannot hold."""
    path = folder / "tokenizer_config.json"
    return path.is_file() and SEGMENTER in json.loads(path.read_text(encoding="utf-8"))


def segmented_by_words() -> Any:
    """The pre-tokenizer that parts Chinese by `rjieba`, whose words it leaves as they are, and all else as it is written.

    Raises:
        HostError: rjieba is not installed.
    """
    cut = load_segmenter()

    class _Segmenter:
        def pre_tokenize(self, text: Any) -> None:
            runs: list[list[str]] = []

            def part(_: int, whole: Any) -> list[Any]:
                words = cut(str(whole))
                mine = [words[i : i + _RUN] for i in range(0, len(words), _RUN)]
                runs.extend(mine)
                return _slices(whole, ["".join(run) for run in mine])

            text.split(part)
            following = iter(runs)
            text.split(lambda _, run: _slices(run, next(following), spaces=False))

    return pre_tokenizers.PreTokenizer.custom(_Segmenter())


def _slices(text: Any, parts: Iterable[str], *, spaces: bool = True) -> list[Any]:
    """A `NormalizedString` in its parts; without `spaces` those of nothing else are left out."""
    found, start = [], 0
    for part in parts:
        end = start + len(part)
        if spaces or part.strip():
            found.append(text[start:end])
        start = end
    return found
