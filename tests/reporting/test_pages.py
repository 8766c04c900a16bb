"""The pages: one self-contained file, the same structure whatever the data says, the same bytes every time."""

import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bertkit.evaluation import multilabel, regression, spans, tagging
from bertkit.reporting import attention, attention_page, data_tables, markdown_page, page
from bertkit.reporting.collect import collect

# Stands for any string from data; the digit keeps labels apart.
MARK = "qqq"
VOID = {"meta", "br", "hr", "img", "input", "link", "line", "circle", "rect", "path"}
MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])


@pytest.fixture
def report(make, log):
    """A report with every section, in which every string from data holds `MARK`."""
    labels = [f"{MARK}{i}" for i in range(3)]
    gold = [0, 1, 2] * 10
    data = make.task_data([f"{MARK} text {i}" for i in range(30)], gold, labels, {f"{MARK} reason": 2})
    models = [
        make.model(f"{MARK}{init}", init=init, seed=seed, data=data)
        for init in ("pretrained", "random")
        for seed in (1, 2)
    ]
    metrics = [
        make.metrics(
            [(g + 1) % 3 if i < 3 * n else g for i, g in enumerate(gold)],
            gold,
            name=model.read_json("predictor.json")["name"],
            seed=model.read_json("predictor.json")["seed"],
            model=model,
            data=data,
            labels=labels,
            task=f"{MARK} task",
            notes=[f"{MARK} note"],
        )
        for n, model in enumerate(models)
    ]
    others = [of_kind(make) for of_kind in (tagging_run, spans_run, sets_run, numbers_run)]
    found = collect(
        [*metrics, *(run for run, _ in others)],
        pretrain=[make.checkpoint(log())],
        corpus=[make.corpus({f"{MARK} reason": 7, "duplicate": 3})],
        tokenizer=[make.tokenizer()],
        pretrain_data=[make.token_store()],
        task_data=[data, *(data for _, data in others if data)],
        models=models,
        vectors=[make.vectors([f"{MARK} {i}" for i in range(4)], np.eye(4))],
        title=f"{MARK} title",
    )
    weights = np.full((2, 2, 3, 3), 1 / 3)
    shares = {"text": np.array([0.5, 0.25, 0.25])}
    seen = attention.Seen([MARK, f"{MARK}##", "[SEP]"], True, weights, weights[0, 0], shares)
    looked = {"id": f"{MARK}0", **attention.view(seen, [(1, None), (2, 1)])}
    found["tasks"][0]["attention"] = {"model": MARK, "seed": 1, "views": [looked], "left_out": []}
    return found


def tagging_run(make):
    gold = [f"B-{MARK}", f"I-{MARK}", "O"]
    rows = [
        {"id": f"{MARK}{i}", "tokens": [MARK, "b", MARK], "gold": gold, "predicted": said, "entities": []}
        for i, said in enumerate((gold, ["O", *gold[:1], "O"], ["O", "O", "O"]))
    ]
    return make.metrics_of(rows, kind="tagging", name=MARK, task=f"{MARK} tags", **tagging.score(rows)), None


def spans_run(make):
    context, answer = f"It was {MARK} then.", {"text": MARK, "answer_start": 7}
    examples = [
        {"id": f"{MARK}{i}", "question": f"Who {MARK}?", "context": context, "answers": [answer]} for i in range(4)
    ]
    best = {"text": "It", "start": 0, "end": 2, "score": 1.0, "probability": 0.5}
    rows = [
        {
            "id": one["id"],
            "gold": [MARK],
            "predicted": "It",
            "start": 0,
            "end": 2,
            "n_best": [best, best | {"text": MARK}],
        }
        for one in examples
    ]
    data = make.data_of(examples, kind="spans", name=f"{MARK} spans")
    scores = spans.score(rows, scorer="squad_v2") | {"task": f"{MARK} spans"}
    return make.metrics_of(rows, kind="spans", name=MARK, data=data, **scores), data


def sets_run(make):
    labels = [f"{MARK} x", f"{MARK} y"]
    rows = [
        {"id": f"{MARK}{i}", "gold": labels[:1], "predicted": labels[i:], "scores": {labels[0]: 0.9, labels[1]: 0.2}}
        for i in range(2)
    ]
    scores = multilabel.score(rows, labels) | {"primary": "micro_f1", "task": f"{MARK} sets"}
    return make.metrics_of(rows, kind="classification", name=MARK, **scores), None


def numbers_run(make):
    rows = [{"id": f"{MARK}{i}", "gold": float(i), "predicted": i + 0.5, "scores": {}} for i in range(4)]
    data = make.data_of(
        [{"id": row["id"], "text": MARK} for row in rows], kind="classification", name=f"{MARK} numbers"
    )
    scores = regression.score(rows) | {"primary": "spearmanr", "labels": [], "task": f"{MARK} numbers"}
    return make.metrics_of(rows, kind="classification", name=MARK, data=data, **scores), data


def replaced(value, by):
    """`value` with `MARK` replaced in every string and key."""
    if isinstance(value, str):
        return value.replace(MARK, by)
    if isinstance(value, dict):
        return {replaced(key, by): replaced(one, by) for key, one in value.items()}
    return [replaced(one, by) for one in value] if isinstance(value, list) else value


class Shape(HTMLParser):
    """The elements of a page with their attributes' names, checked to be nested as they must."""

    def __init__(self, html):
        super().__init__()
        self.found, self.open, self.text, self.attributes = [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, *sorted(name for name, _ in attrs)))
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, *sorted(name for name, _ in attrs)))
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        self.found.append("/" + tag)

    def handle_comment(self, data):
        self.found.append("comment")

    def handle_data(self, data):
        self.text.append(data)


def markdown_shape(text):
    found = []
    for token in MARKDOWN.parse(text):
        found.append(token.type)
        for child in token.children or []:
            if child.type != "text" or found[-1] != "text":
                found.append(child.type)
    return found


HOSTILE = st.one_of(
    st.text(min_size=1, max_size=30),
    st.sampled_from(
        [
            "</td></table><script>alert(1)</script>",
            "<!-- ",
            "]]>",
            "' onmouseover='x",
            '" style="display:none',
            "a|b|c",
            "| --- |",
            "`code",
            "**x**",
            "[x](javascript:alert(1))",
            "![x](http://example.org/a.png)",
            "<https://example.org>",
            "\n\n# heading\n\n- list",
            "\x1b[31mred\x1b[0m",
            "\u202egnp.exe",
            "\x00",
            "{{ report }}{% endif %}",
            "&amp;&#60;",
            "长文本，没有空格",
        ]
    ),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hostile=HOSTILE)
@example(hostile=" ")
@example(hostile="</style></title></svg></td>")
def test_strings_from_data_never_change_a_pages_structure(report, hostile):
    tame, wild = replaced(report, "word"), replaced(report, hostile)
    tame_html, wild_html = page.render(tame), page.render(wild)
    assert Shape(wild_html).found == Shape(tame_html).found
    for character in "\x00\x1b\u202e\u2066":
        assert character not in wild_html
    tame_md, wild_md = markdown_page.render(tame), markdown_page.render(wild)
    assert markdown_shape(wild_md) == markdown_shape(tame_md)
    assert tame_md.count("\n") == wild_md.count("\n")


@settings(max_examples=40, deadline=None)
@given(hostile=HOSTILE)
def test_strings_from_data_never_change_a_pictures_structure(hostile):
    seen = attention.Seen([hostile, "a"], False, np.full((1, 1, 2, 2), 0.5), None, {"text": np.array([0.25, 0.75])})
    view = attention.view(seen, [(1, None)])
    picture = ElementTree.fromstring(attention_page.svg(view, chosen=[]))
    assert [one.tag.rpartition("}")[2] for one in picture] == ["title", "desc", "rect", "g", *["text"] * 4]
    picture = ElementTree.fromstring(attention_page.svg(view | {"pictures": []}, chosen=[]))
    assert [one.tag.rpartition("}")[2] for one in picture] == ["title", "desc", "rect", "g", "g"]
    assert [one.tag.rpartition("}")[2] for one in picture[3]] == ["title", "rect", "text"]
    html = attention_page.html(view, texts=[hostile], model=hostile, word=hostile, chosen=[0])
    tame = attention_page.html(view | {"tokens": ["b", "a"]}, texts=["c"], model="d", word="e", chosen=[0])
    assert Shape(html).found == Shape(tame).found


def test_the_page_is_one_file_without_scripts_or_links_outside(report):
    html = page.render(report)
    shape = Shape(html)
    assert not {tag[0] for tag in shape.found} & {"script", "link", "img", "iframe", "object", "form", "base"}
    assert not [value for name, value in shape.attributes if name in ("href", "src") and not value.startswith("#")]
    assert not [name for name, _ in shape.attributes if name.startswith("on")]
    assert "url(" not in html
    assert "@import" not in html
    assert not re.findall(r"https?://", html)
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in html


def test_links_and_descriptions_lead_somewhere(report):
    attributes = Shape(page.render(report)).attributes
    ids = [value for name, value in attributes if name == "id"]
    assert len(ids) == len(set(ids))
    targets = {value[1:] for name, value in attributes if name == "href"}
    targets |= {id for name, value in attributes if name == "aria-labelledby" for id in value.split()}
    assert targets <= set(ids)


def test_every_table_has_a_caption_and_every_picture_a_description(report):
    html = page.render(report)
    tables = re.findall(r"<table.*?</table>", html, flags=re.S)
    assert len(tables) >= 8
    assert all("<caption>" in table for table in tables)
    pictures = re.findall(r'<svg role="img"[^>]*>\s*(?:<title.*?<desc)?', html, flags=re.S)
    assert len(pictures) >= 4
    assert all("aria-label=" in picture or "<desc" in picture for picture in pictures)


def test_the_pages_say_what_the_issue_asks_for(report):
    for text in ("".join(Shape(page.render(report)).text), markdown_page.render(report)):
        for needed in (
            "Masked words (MLM)",
            "Next sentence (NSP)",
            "held-out" if "<" in text else "Held-out",
            "accuracy",
            "interval",
            f"{MARK} text",
            f"dropped: {MARK} reason",
            "duplicate",
            "tokens a word (fertility)",
            "Versions",
        ):
            assert needed.lower() in text.lower(), needed


def test_wide_tables_show_that_they_go_on_and_dropped_tokens_are_told(report, make):
    html = page.render(report)
    assert "var(--edge), transparent) right" in html
    assert "Nothing was dropped." in html
    counts = {"train": {"documents": 5, "sentences": 9, "tokens": 40, "empty_sentences": 1200}}
    assert data_tables.token_store({"counts": counts}).notes == ["Dropped from train: 1,200 sentences without a token."]


def test_pages_are_pure_functions_of_the_json(report):
    again = json.loads(json.dumps(report))
    assert page.render(again) == page.render(report)
    assert markdown_page.render(again) == markdown_page.render(report)


def test_a_report_on_scores_alone_says_what_it_was_not_given(make):
    bare = collect([make.metrics([0, 1, 1], [0, 1, 2])])
    html = "".join(Shape(page.render(bare)).text)
    assert "Pretraining" not in html
    assert "was not given the corpus" in html
    assert "The report was given none of this." in markdown_page.render(bare)


def test_no_mistake_is_good_news(make):
    text = "".join(Shape(page.render(collect([make.metrics([0, 1, 2], [0, 1, 2])]))).text)
    assert "None: all 3 test texts were right." in text


def test_many_labels_get_a_list_of_confusions(make):
    labels = [f"label {i}" for i in range(40)]
    gold = list(range(40)) * 2
    found = collect([make.metrics([1, *gold[1:]], gold, labels=labels)])
    html = "".join(Shape(page.render(found)).text)
    assert "most frequent confusions" in html
    assert "most frequent confusions" in markdown_page.render(found)


def test_a_checkpoint_without_a_log_says_so(make):
    found = collect([make.metrics([0, 1], [0, 1])], pretrain=[make.checkpoint([])])
    assert "No curves: the checkpoint has no log" in "".join(Shape(page.render(found)).text)
