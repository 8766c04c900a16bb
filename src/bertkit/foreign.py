"""Folders that others wrote: what one must hold to serve as a model or a tokenizer of BERT's."""

import json
from pathlib import Path

from bertkit.errors import IntegrityError, StageError

# What a folder of another maker must know to serve as a BERT tokenizer.
BERT_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def require_safetensors(folder: Path) -> None:
    """Refuse a model's folder without weights that can be read: a pickle can do anything.

    Raises:
        StageError: there is no `model.safetensors`.
    """
    if not any(folder.glob("model*.safetensors")):
        raise StageError(
            "has no model.safetensors; weights in other formats, such as pytorch_model.bin, are not read",
            where=str(folder),
            remedy="Save it anew, with its tokenizer: AutoModelForPreTraining.from_pretrained(NAME).save_pretrained(FOLDER) "
            "and AutoTokenizer.from_pretrained(NAME).save_pretrained(FOLDER). Then give FOLDER.",
        )


def check_word_piece(folder: Path) -> None:
    """Refuse a folder whose tokenizer is not BERT's."""
    file = folder / "tokenizer.json"
    if file.is_file():
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            kind, entries = content["model"].get("type"), set(content["model"]["vocab"])
            entries |= {token["content"] for token in content.get("added_tokens", ())}
        except (ValueError, KeyError, TypeError, AttributeError) as e:
            raise IntegrityError(f"cannot be read as a tokenizer: {e!r}", where=str(file)) from None
        if kind != "WordPiece":
            raise StageError(f"is a {kind} tokenizer; BERT's are WordPiece", where=str(file))
    elif (folder / "vocab.txt").is_file() and (folder / "tokenizer_config.json").is_file():
        file = folder / "vocab.txt"
        entries = set(file.read_text(encoding="utf-8").split("\n"))
    else:
        raise StageError(
            "holds no manifest.json of bertkit's, and no tokenizer: neither tokenizer.json nor vocab.txt with "
            "tokenizer_config.json",
            where=str(folder),
            remedy="Save the tokenizer there with AutoTokenizer.from_pretrained(...).save_pretrained(...), or run the "
            "stage 'tokenizer'.",
        )
    if missing := [token for token in BERT_TOKENS if token not in entries]:
        raise StageError(f"has no {', '.join(missing)}: not a BERT vocabulary", where=str(file))
