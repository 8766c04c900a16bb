"""SQuAD's JSON (1.1, 2.0, and what is laid out alike) to questions."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bertkit import storage
from bertkit.data.spans.questions import Entry
from bertkit.errors import DataError

_LAYOUT = 'Write {"data": [{"title", "paragraphs": [{"context", "qas": [{"id", "question", "answers"}]}]}]}.'


def squad_entries(path: Path) -> Iterator[Entry]:
    """The questions of a file, each with its JSON pointer.

    Raises:
        DataError: the file is not laid out like SQuAD's.
    """
    for i, article in enumerate(_list(_load(path), "data", f"{path}#")):
        for j, paragraph in enumerate(_list(article, "paragraphs", f"{path}#/data/{i}")):
            pointer = f"/data/{i}/paragraphs/{j}"
            for k, found in enumerate(_list(paragraph, "qas", f"{path}#{pointer}")):
                asked = found if isinstance(found, dict) else {}
                yield Entry(
                    f"#{pointer}/qas/{k}",
                    id=asked.get("id"),
                    question=asked.get("question"),
                    context=paragraph.get("context"),
                    answers=asked.get("answers"),
                    title=article.get("title"),
                    impossible=asked.get("is_impossible"),
                )


def _load(path: Path) -> Any:
    with storage.reporting_os_errors(path, "read"):
        content = path.read_bytes()
    try:
        return json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as e:
        what = f"not UTF-8: {e.reason} at byte {e.start:,}"
        raise DataError(what, where=str(path), remedy="Convert the file to UTF-8.") from None
    except (ValueError, RecursionError) as e:
        raise DataError(f"not JSON: {e}", where=str(path), remedy=_LAYOUT) from None


def _list(holder: Any, name: str, where: str) -> list[Any]:
    if not isinstance(holder, dict) or not isinstance(holder.get(name), list):
        raise DataError(f"has no list {name!r}", where=where, remedy=_LAYOUT)
    found: list[Any] = holder[name]
    return found
