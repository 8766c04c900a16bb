"""Stage `pretrain_data`: tokenize a corpus once into the token store."""

from pathlib import Path

from bertkit import storage
from bertkit.artifacts import Corpus, PretrainData, Tokenizer
from bertkit.config import Config
from bertkit.stage import stage


class PretrainDataConfig(Config):
    """The store depends on the corpus and the tokenizer alone; pairs, masks and lengths belong to `pretrain`."""


@stage("pretrain_data", version=1)
def pretrain_data(config: PretrainDataConfig, corpus: Corpus, tokenizer: Tokenizer, *, out: Path) -> PretrainData:
    """Tokenize a corpus once, into flat files that pretraining maps into memory."""
    from bertkit.data.token_store import token_dtype, write_split
    from bertkit.text.vocabulary import read_vocabulary
    from bertkit.text.wordpiece import load_encode

    encode = load_encode(tokenizer.path)
    vocabulary = read_vocabulary(tokenizer.path)
    counts = {
        split: write_split(out, split, corpus.documents(split), encode, vocab_size=vocabulary.size)
        for split in ("train", "heldout")
    }
    meta = {
        "vocab_size": vocabulary.size,
        "dtype": token_dtype(vocabulary.size).name,
        "tokenizer": tokenizer.fingerprint,
        "counts": counts,
    }
    storage.write_json(out / "meta.json", meta)
    return PretrainData(out)
