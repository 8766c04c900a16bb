"""The quickstart's tasks *headline*, *names* and *cloze*, made of the BBC articles; each article stands on one side.

*headline* (pairs): does this headline belong to this paragraph? Each of an article's first three paragraphs stands once
with its own headline and once with that of another article of the same topic and split, so that neither text alone and
no topic gives the answer away. *names* (tagging): lower-cased sentences whose capitalised runs are to be found again.
*cloze* (spans): a headline with a name left out, which is to be found in the article below it.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from bertkit.data import bbc, keyed
from bertkit.data.bbc_names import capitals, sentences
from bertkit.data.spans.questions import Question
from bertkit.data.tagging.sentences import TaggedSentence
from bertkit.data.task_examples import Example, Tally
from bertkit.text.sentences import split

PRINTED_TWICE = "article printed twice"
NO_PARTNER = "no other headline of its topic"
NO_PARAGRAPH = "no paragraph"
NO_NAME = "no name in the headline"
NOT_IN_ARTICLE = "name of the headline not in the article"
LOWER_CASED = "lower-cased"

YES, NO = "belongs", "other"
BLANK = "___"

_PARAGRAPHS = 3
_SEED = 1


def articles_by_split() -> dict[str, list[bbc.Article]]:
    """Every article by the side it stands on, topic by topic."""
    found: dict[str, list[bbc.Article]] = {"train": [], "validation": [], "test": []}
    for article in bbc.articles():
        found[bbc.split_of(article.text)].append(article)
    return found


def headline_pairs(articles: Sequence[bbc.Article], *, tally: Tally) -> Iterator[Example]:
    """Headline and paragraph, half of them of one article; a row read is a paragraph with one of its two headlines."""
    topics: dict[str, list[bbc.Article]] = defaultdict(list)
    for article in _once(articles, tally, rows=lambda one: 2 * len(one.paragraphs[:_PARAGRAPHS])):
        topics[article.topic].append(article)
    for topic, group in topics.items():
        order = keyed.permutation(keyed.key(_SEED, f"headline {topic}"), len(group))
        for place, number in enumerate(order):
            article = group[number]
            others = (group[order[(place + step) % len(group)]] for step in range(1, len(group)))
            rivals = [other for _, other in zip(range(_PARAGRAPHS + 9), others, strict=False) if _apart(article, other)]
            for i, paragraph in enumerate(article.paragraphs[:_PARAGRAPHS]):
                tally.read += 2
                where = f"{article.id}.txt"
                if len(rivals) <= i:
                    tally.dropped[NO_PARTNER] += 2
                    continue
                for label, title in ((YES, article.title), (NO, rivals[i].title)):
                    yield Example(f"{article.id}/{i + 1}/{label}", title, label, where, where, text_pair=paragraph)


def tagged_names(articles: Sequence[bbc.Article], *, tally: Tally) -> Iterator[TaggedSentence]:
    """Lower-cased sentences, their names tagged NAME in BIO; a row read is a sentence."""
    for article in _once(articles, tally, rows=_sentence_count):
        kept, dropped = sentences(article.paragraphs)
        tally.read += len(kept) + len(dropped)
        tally.dropped.update(dropped)
        for i, one in enumerate(kept, start=1):
            tally.changed[LOWER_CASED] += 1
            tags = ["O"] * len(one.places)
            for first, last in one.runs:
                tags[first:last] = ["B-NAME", *["I-NAME"] * (last - first - 1)]
            text = one.text.lower()
            starts, ends = ([place[side] for place in one.places] for side in (0, 1))
            tokens = [text[start:end] for start, end in one.places]
            yield TaggedSentence(f"{article.id}/{i}", tokens, tags, text, starts, ends, f"{article.id}.txt")


def cloze_questions(articles: Sequence[bbc.Article], *, tally: Tally) -> Iterator[Question]:
    """Headlines with a blank; a row read is an article. All places of the name are answers; the first is learnt from.

    A name is a capitalised run of the headline that stands as such within a sentence of the article, opening none.
    """
    for number, article in enumerate(_once(articles, tally, rows=lambda one: 1)):
        tally.read += 1
        context = "\n".join(article.paragraphs)
        headline = capitals(article.title, opening=True)
        certain = {name for one in map(capitals, split(context, "en")) for name in one.names}
        if not context:
            tally.dropped[NO_PARAGRAPH] += 1
        elif not capitals(article.title).names and not certain & {*headline.names}:
            tally.dropped[NO_NAME] += 1
        elif not (there := [i for i, name in enumerate(headline.names) if name in certain]):
            tally.dropped[NOT_IN_ARTICLE] += 1
        else:
            chosen = keyed.integers(keyed.key(_SEED, "cloze"), np.array([number]), len(there))
            run = there[int(chosen[0])]
            name = headline.names[run]
            first, last = headline.runs[run]
            start, end = headline.places[first][0], headline.places[last - 1][1]
            question = article.title[:start] + BLANK + article.title[end:]
            answers = [{"text": name, "answer_start": place} for place in _places(name, context)]
            yield Question(article.id, question, context, answers, article.topic, f"{article.id}.txt")


def _once(
    articles: Sequence[bbc.Article], tally: Tally, *, rows: Callable[[bbc.Article], int]
) -> Iterator[bbc.Article]:
    """Each article the first time it is printed; the rows that repeated ones would give count as dropped."""
    seen: set[str] = set()
    for article in articles:
        if article.paragraphs and article.paragraphs[0] in seen:
            number = rows(article)
            tally.read += number
            tally.dropped[PRINTED_TWICE] += number
            continue
        seen.update(article.paragraphs[:1])
        tally.changed[bbc.NOT_UTF8] += article.recoded
        yield article


def _sentence_count(article: bbc.Article) -> int:
    kept, dropped = sentences(article.paragraphs)
    return len(kept) + len(dropped)


def _apart(one: bbc.Article, other: bbc.Article) -> bool:
    """Whether the headline of `other` cannot be that of `one`."""
    return one.title.lower() != other.title.lower()


def _places(name: str, context: str) -> list[int]:
    """Where the name stands in the article as a word."""
    return [found.start() for found in re.finditer(rf"(?<!\w){re.escape(name)}(?!\w)", context)]
