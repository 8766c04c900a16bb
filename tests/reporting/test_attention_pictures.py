"""What heads look at, drawn: lines, the table of heads, the command, and the report's examples."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

from bertkit.cli import app
from bertkit.errors import ConfigError, DataError, StageError
from bertkit.reporting import attention, attention_page, attention_picture, markdown_page, page
from bertkit.reporting.collect import collect
from bertkit.stages.report import ReportConfig

WORDS = ["the", "animal", "was", "tired", "it", "un", "##happy", "海", "边", "<", ">", "b"]


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "bert"
    fill(path)
    return path


def fill(path):
    """Write a small BERT with random weights."""
    path.mkdir(exist_ok=True)
    (path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]), encoding="utf-8")
    BertTokenizer(str(path / "vocab.txt")).save_pretrained(path)
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 64, "max_position_embeddings": 20}
    BertForSequenceClassification(BertConfig(num_hidden_layers=2, vocab_size=17, **sizes)).save_pretrained(path)


def test_weights_of_a_text_and_of_a_pair(folder):
    gaze = attention.Gaze(folder)
    assert (gaze.layers, gaze.heads) == (2, 4)
    tokens, weights, cut = gaze.weights(["The animal was unhappy"])
    assert tokens == ["[CLS]", "the", "animal", "was", "un", "##happy", "[SEP]"]
    assert weights.shape == (2, 4, 7, 7)
    assert not cut
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-6)
    tokens, _, cut = gaze.weights(["the animal", "it was tired"], limit=7)
    assert tokens == ["[CLS]", "the", "animal", "[SEP]", "it", "was", "[SEP]"]
    assert cut
    with pytest.raises(DataError, match="no tokens"):
        gaze.weights([" "])
    with pytest.raises(DataError, match="the model reads 20"):
        gaze.weights(["it " * 30])


def test_the_strongest_lines_are_drawn_and_no_weak_ones():
    weights = np.full((6, 6), 0.01)
    weights[1, 3], weights[1, 4] = 0.7, 0.2
    assert attention.lines(weights) == [(1, 3, 0.7), (1, 4, 0.2)]


def test_heads_are_named_by_what_they_look_at():
    tokens = ["[CLS]", "a", "b", "c", "[SEP]"]
    for name, shift in (("before", -1), ("after", 1), ("itself", 0)):
        # Only the words count: [CLS] has no token before it.
        weights = np.zeros((5, 5))
        for i in (1, 2, 3):
            weights[i, i + shift] = 1
        found, share = attention.pattern(tokens, weights)
        # The first word's token before is [CLS], which counts as such.
        assert (found, share) == ((name, 0.667) if shift == -1 else (name, 1.0))
    assert attention.pattern(tokens, np.eye(5)[[4] * 5])[0] == "separator"


def test_a_word_is_found_by_its_pieces():
    tokens = ["[CLS]", "the", "un", "##happy", "海", "边"]
    assert attention.matching(tokens, "Unhappy") == [2, 3]
    assert attention.matching(tokens, "海边") == [4, 5]
    with pytest.raises(DataError, match="does not stand"):
        attention.matching(tokens, "happy")


def test_pictures_draw_the_chosen_word_alone():
    view = {"tokens": ["a", "b", "c"], "pictures": [{"layer": 1, "head": None, "lines": [(0, 1, 0.5), (2, 0, 0.25)]}]}
    whole, one = attention_picture.picture(view, 0), attention_picture.picture(view, 0, chosen=[2])
    assert (len(whole.paths), len(one.paths)) == (2, 1)
    assert [token.chosen for token in one.left] == [False, False, True]
    assert [token.chosen for token in one.right] == [True, False, False]
    assert "c looks at a with 25.0" in one.description


def test_layers_and_heads_that_a_model_has_not(folder):
    gaze = attention.Gaze(folder)
    assert attention_page.chosen_pictures(gaze, None, None, one=False) == [(1, None), (2, None)]
    assert attention_page.chosen_pictures(gaze, 2, None, one=False) == [
        (2, None),
        *((2, head) for head in (1, 2, 3, 4)),
    ]
    assert attention_page.chosen_pictures(gaze, None, None, one=True) == [(2, None)]
    with pytest.raises(ConfigError, match="layers 1 to 2"):
        attention_page.chosen_pictures(gaze, 3, None, one=False)


def test_the_command_writes_a_page_and_a_picture(folder, tmp_path, run_command):
    text = ["--text", "the <b> animal was tired"]
    run_command("attention", str(folder), *text, "--word", "animal", "--out", str(tmp_path / "a.html"))
    html = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert html.count('<svg class="attention"') == 2
    assert "<b>" not in html
    run_command("attention", str(folder), *text, "--layer", "1", "--head", "3", "--out", str(tmp_path / "a.svg"))
    picture = ElementTree.parse(tmp_path / "a.svg").getroot()
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    texts = [one.text for one in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["[CLS]", "the", "<", "b", ">", "animal", "was", "tired", "[SEP]"] * 2
    with pytest.raises(ConfigError, match="page or a picture"):
        run_command("attention", str(folder), *text, "--out", str(tmp_path / "a.png"))
    with pytest.raises(StageError):
        run_command("attention", str(tmp_path), *text, "--out", str(tmp_path / "a.svg"))


@pytest.fixture
def run_command():
    import typer

    program = typer.main.get_command(app)
    return lambda *words: program.main(list(words), standalone_mode=False)


def test_a_report_shows_what_its_best_model_looks_at(make):
    data = make.task_data(["the animal was tired", "it <b>"] * 3, [0, 1, 2] * 2)
    model = make.model(data=data)
    fill(model.path)
    run = make.metrics([1, 1, 2, 0, 1, 2], [0, 1, 2] * 2, model=model, data=data)
    report = collect([run], task_data=[data], models=[model], attention=1)
    view = report["tasks"][0]["attention"]["views"][0]
    assert view["id"] == "t0"
    assert view["tokens"] == ["[CLS]", "the", "animal", "was", "tired", "[SEP]"]
    assert json.loads(json.dumps(report)) == json.loads(json.dumps(report, allow_nan=False))
    assert page.render(report).count('<svg class="attention"') == 2
    assert "looks at in t0" in markdown_page.render(report)
    assert ReportConfig().attention == 1


def test_a_model_that_is_no_bert_has_no_pictures(make):
    model = make.model()
    run = make.metrics([0, 1], [0, 1], model=model)
    assert collect([run], models=[model], attention=3)["tasks"][0]["attention"] is None
