"""WikiExtractor's `<doc id url title>` files to raw documents."""

import html
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from bertkit.data.sources.files import read_lines
from bertkit.data.sources.raw import OnBadUtf8, RawDocument, Tally
from bertkit.errors import DataError

TITLE = "title line left out"
ENTITIES = "HTML entities read"

_OPEN = re.compile(r'<doc id="([^"]*)".*>\s*')
_CLOSE = "</doc>"


def read_wiki(files: Sequence[Path], *, tally: Tally, on_bad_utf8: OnBadUtf8 = "stop") -> Iterator[RawDocument]:
    """Documents between `<doc id="12" url="..." title="...">` and `</doc>`, each line of them a paragraph.

    The first line repeats the title and is left out; HTML entities that WikiExtractor leaves (`&amp;`) are read.

    Raises:
        DataError: a `<doc>` that is not closed, or text outside of one; with `file:line`.
    """
    for path in files:
        identifier = title = where = ""
        body: list[str] | None = None
        for number, line in read_lines(path, on_bad_utf8=on_bad_utf8, tally=tally):
            if line.startswith("<doc ") and (tag := _OPEN.fullmatch(line)):
                if body is not None:
                    raise _not_closed(where)
                identifier, title, where = tag[1], _title(line), f"{path}:{number}"
                body = []
            elif body is None:
                if line.strip():
                    raise DataError(
                        f"text outside of a document: {line.strip()[:60]!r}",
                        where=f"{path}:{number}",
                        remedy='Articles stand between <doc id="..." url="..." title="..."> and </doc> lines. '
                        "For other text use source.format=text.",
                    )
            elif line.strip() == _CLOSE:
                yield RawDocument(identifier, _article(body, title, tally), where)
                body = None
            else:
                body.append(line)
        if body is not None:
            raise _not_closed(where)


def _title(tag: str) -> str:
    return html.unescape(tag.partition(' title="')[2].rpartition('">')[0]).strip()


def _article(lines: list[str], title: str, tally: Tally) -> str:
    text = "\n".join(lines)
    if "&" in text and (plain := html.unescape(text)) != text:
        tally.changed[ENTITIES] += 1
        text = plain
    first, _, rest = text.lstrip().partition("\n")
    if title and first.strip() == title:
        tally.changed[TITLE] += 1
        return rest
    return text


def _not_closed(where: str) -> DataError:
    return DataError("this <doc> is not closed by a line </doc>", where=where, remedy="The file may have been cut off.")
