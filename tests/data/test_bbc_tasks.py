"""The tasks made of news articles: what a capital says, and rows that keep both sides of a split apart."""

from bertkit.data import bbc
from bertkit.data.bbc_names import NOT_ONE_CASE, OPENED_BY_NAME, capitals, sentences
from bertkit.data.bbc_tasks import BLANK, NO_NAME, PRINTED_TWICE, cloze_questions, headline_pairs, tagged_names
from bertkit.data.task_examples import Tally


def article(number, title, *paragraphs):
    return bbc.Article(f"tech/{number:03}", "tech", title, paragraphs)


ARTICLES = [
    article(
        1, "Talks with Olga Berg end", "The talks with Olga Berg ended in Oslo.", "No deal was made with Olga Berg."
    ),
    article(2, "Rain delays the harvest", "Heavy rain fell on the fields near Lund.", "Farmers wait."),
    article(3, "Oslo builds a tower", "The city of Oslo plans a tower of glass.", "It will be tall."),
    article(4, "Talks go on", "The talks with Olga Berg ended in Oslo.", "A later print."),
]


def test_a_capital_that_opens_a_sentence_or_a_quotation_is_no_name():
    assert capitals('The head of Acme Ltd said: "We met Ann and I left."').names == ["Acme Ltd", "Ann"]


def test_sentences_whose_opening_word_may_be_a_name_are_left_out_with_a_reason():
    kept, dropped = sentences(["Berg spoke first of all. Later they met Berg again.", "ALL OF THIS IS LOUD."])
    assert [one.names for one in kept] == [["Berg"]]
    assert sorted(dropped) == sorted([OPENED_BY_NAME, NOT_ONE_CASE])


def test_every_paragraph_has_its_own_headline_and_one_of_another_article():
    tally = Tally()
    rows = list(headline_pairs(ARTICLES, tally=tally))
    titles = {one.id: one.title for one in ARTICLES}
    for row in rows:
        own = titles["/".join(row.id.split("/")[:2])]
        assert (row.text == own) == (row.label == "belongs")
    assert [row.label for row in rows].count("other") * 2 == len(rows)
    assert tally.dropped == {PRINTED_TWICE: 4}
    assert tally.read == len(rows) + 4


def test_names_are_lower_cased_and_stand_at_their_places():
    tally = Tally()
    rows = list(tagged_names(ARTICLES, tally=tally))
    first = rows[0]
    assert first.text == "the talks with olga berg ended in oslo."
    assert first.tags == ["O", "O", "O", "B-NAME", "I-NAME", "O", "O", "B-NAME", "O"]
    assert first.tokens == [first.text[a:b] for a, b in zip(first.starts, first.ends, strict=True)]
    assert tally.read == len(rows) + tally.dropped.total()


def test_the_name_left_out_of_a_headline_stands_in_the_article():
    tally = Tally()
    rows = list(cloze_questions(ARTICLES, tally=tally))
    assert [row.question for row in rows] == [f"Talks with {BLANK} end", f"{BLANK} builds a tower"]
    assert len(rows[0].answers) == 2
    for row in rows:
        for answer in row.answers:
            assert row.context.startswith(answer["text"], answer["answer_start"])
    assert tally.dropped == {NO_NAME: 1, PRINTED_TWICE: 1}
    assert tally.read == len(rows) + 2
