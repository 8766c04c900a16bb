"""What heads look at, drawn: lines, the table of heads, the command, and the report's examples."""

import json
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

from bertkit.cli import app
from bertkit.errors import ConfigError, DataError, StageError
from bertkit.models import bert
from bertkit.models.classification import new_classifier
from bertkit.models.network import Classifier
from bertkit.models.token_networks import SpanFinder, Tagger
from bertkit.reporting import attention, attention_examples, attention_page, attention_picture, markdown_page, page
from bertkit.reporting.collect import collect
from bertkit.stages.report import ReportConfig
from bertkit.text import word_level

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
    seen = gaze.look(["The animal was unhappy"])
    assert seen.tokens == ["[CLS]", "the", "animal", "was", "un", "##happy", "[SEP]"]
    assert seen.layers.shape == (2, 4, 7, 7)
    assert not seen.cut
    np.testing.assert_allclose(seen.layers.sum(-1), 1, atol=1e-6)
    seen = gaze.look(["the animal", "it was tired"], limit=7)
    assert seen.tokens == ["[CLS]", "the", "animal", "[SEP]", "it", "was", "[SEP]"]
    assert seen.cut
    with pytest.raises(DataError, match="no tokens"):
        gaze.look([" "])
    with pytest.raises(DataError, match="the model reads 20"):
        gaze.look(["it " * 30])


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


def test_pieces_are_joined_where_a_text_is_named():
    assert attention.text(["[CLS]", "un", "##happy", "海", "[SEP]"]) == "[CLS] unhappy 海 [SEP]"


def test_pictures_draw_the_chosen_word_alone():
    view = {
        "tokens": ["a", "b", "c"],
        "shares": [],
        "pictures": [{"layer": 1, "head": None, "lines": [(0, 1, 0.5), (2, 0, 0.25)]}],
    }
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


RNN = {"cell": "lstm", "hidden_size": 6, "num_layers": 2, "bidirectional": True, "layer_norm": False, "dropout": 0.0}
TRANSFORMER = {
    "hidden_size": 8,
    "num_layers": 2,
    "num_heads": 2,
    "intermediate_size": 16,
    "positions": "learned",
    "norm": "pre",
    "pooling": "attention",
    "dropout": 0.0,
    "max_length": 12,
}


def fill_network(path, cls, backbone, options, **own):
    """Write a small baseline with random weights."""
    path.mkdir(exist_ok=True)
    (path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]), encoding="utf-8")
    BertTokenizer(str(path / "vocab.txt")).save_pretrained(path)
    torch.manual_seed(0)
    sizes = {"vocab_size": 17, "pad_token_id": 0, "embedding_dim": 5, "channels": "non_static"}
    dropouts = {"embedding_dropout": 0.0, "dropout": 0.0}
    cls({"backbone": backbone, "options": options, **sizes, **dropouts, **own}).save_pretrained(path)
    return path


def fill_classifier(path, backbone, options, *, pairs=False):
    own = {"num_labels": 2, "problem_type": "single_label_classification", "pairs": pairs}
    return fill_network(path, Classifier, backbone, options, **own)


def shades(svg):
    """The tokens of a shaded picture with how dark each is."""
    found = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}g")
    return [(group[2].text, float(group[1].attrib["fill-opacity"])) for group in found]


def test_pooling_is_drawn_as_shaded_tokens(tmp_path, run_command):
    folder = fill_classifier(tmp_path / "rnn", "rnn", RNN | {"pooling": "attention"})
    seen = attention.Gaze(folder).look(["the <b> animal"])
    weights = seen.shares["text"]
    run_command("attention", str(folder), "--text", "the <b> animal", "--out", str(tmp_path / "a.svg"))
    drawn = shades((tmp_path / "a.svg").read_text(encoding="utf-8"))
    assert [text for text, _ in drawn] == ["[CLS]", "the", "<", "b", ">", "animal", "[SEP]"]
    np.testing.assert_allclose([shade for _, shade in drawn], 0.55 * weights / weights.max(), atol=2e-3)
    run_command("attention", str(folder), "--text", "the <b> animal", "--out", str(tmp_path / "a.html"))
    html = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "<b>" not in html
    assert "What the text&#39;s vector is made of" in html
    assert "Every head" not in html
    with pytest.raises(ConfigError, match="not for a word"):
        run_command("attention", str(folder), "--text", "it", "--word", "it", "--out", str(tmp_path / "a.svg"))
    with pytest.raises(ConfigError, match="no layers"):
        run_command("attention", str(folder), "--text", "it", "--layer", "1", "--out", str(tmp_path / "a.svg"))


def test_a_transformer_has_pictures_as_a_bert_has(tmp_path, run_command):
    folder = fill_classifier(tmp_path / "pairs", "transformer", TRANSFORMER, pairs=True)
    gaze = attention.Gaze(folder)
    assert (gaze.layers, gaze.heads) == (2, 2)
    texts = ["--text", "the animal", "--text", "it was <b>"]
    run_command("attention", str(folder), *texts, "--word", "it", "--out", str(tmp_path / "a.html"))
    html = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert html.count('<svg class="attention"') == 2
    assert html.count('<svg class="attention shaded"') == 1
    assert "Every head" in html
    with pytest.raises(DataError, match="reads two texts"):
        gaze.look(["the animal"])
    with pytest.raises(DataError, match="the model reads 12"):
        gaze.look(["it " * 6, "was " * 6])


@pytest.mark.parametrize(
    ("units", "text", "tokens"),
    [
        ("words", "it was tired, it", ["it", "was", "tired", ",", "it"]),
        ("characters", "北京 it", ["北", "京", "[UNK]", "[UNK]"]),
    ],
)
def test_a_tagger_reads_token_by_token(tmp_path, units, text, tokens):
    """Its vocabulary is one of whole tokens: a text in one piece would be an unknown one."""
    folder = fill_network(
        tmp_path, Tagger, "transformer", TRANSFORMER,
        labels=["O", "B-A", "I-A"], tagging_head="softmax", tagging_constrained=True,
    )  # fmt: skip
    for name in ("vocab.txt", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink(missing_ok=True)
    words = ["it", "was", "tired", ",", "u.s.", "北", "京", *"abcde"]
    word_level.save(word_level.word_tokenizer(words, lowercase=True, whole=True), folder)
    (folder / "predictor.json").write_text(json.dumps({"units": units}))
    gaze = attention.Gaze(folder)
    assert gaze.look([text]).tokens == ["[CLS]", *tokens, "[SEP]"]
    line = {"id": "1", "tokens": ["it", "U.S."]}
    system = SimpleNamespace(name="a tagger", runs=[SimpleNamespace(seed=1, predictions=[line])])
    found = attention_examples.look(system, folder, [], {"1": {"id": "1", "texts": ["itU.S."]}}, limit=1)
    assert found["views"][0]["tokens"] == ["[CLS]", "it", "u.s.", "[SEP]"]


def test_what_a_context_takes_from_its_question_is_drawn(tmp_path, run_command):
    folder = fill_network(tmp_path / "spans", SpanFinder, "rnn", RNN | {"pooling": "max"})
    gaze = attention.Gaze(folder)
    view = attention.view(gaze.look(["was it tired", "the <b> animal"]), [])
    tokens = view["tokens"]
    assert {tokens[a] for a, _, _ in view["pictures"][0]["lines"]} == {"the", "<", "b", ">", "animal", "[SEP]"}
    assert {b for _, b, _ in view["pictures"][0]["lines"]} <= {1, 2, 3, 4}  # the question's
    assert attention_picture.in_words(view)[1].startswith("What the question's vector is made of: ")
    texts = ["--text", "was it tired", "--text", "the animal"]
    run_command("attention", str(folder), *texts, "--word", "animal", "--out", str(tmp_path / "a.svg"))
    assert "What each token takes from the question" in (tmp_path / "a.svg").read_text(encoding="utf-8")
    with pytest.raises(DataError, match="reads two texts") as refused:
        gaze.look(["the animal"])
    assert "question" in refused.value.remedy


def test_windows_of_a_long_text_are_shaded_by_what_is_taken_of_them(tmp_path, run_command):
    folder = tmp_path / "windows"
    fill(folder)
    model = new_classifier(
        folder, ["a", "b"], init="pretrained", dropout=None, seed=0, window_pooling="attention"
    ).eval()
    torch.nn.init.normal_(model.window_score.weight, std=3.0)
    bert.save(model, folder)
    settings = {"max_seq_length": 8, "window_overlap": 2, "max_windows": 3}
    (folder / "predictor.json").write_text(json.dumps({"settings": settings}))
    long = "the animal was tired it it was the <b> animal the un it was it was"
    gaze = attention.Gaze(folder)
    seen = gaze.look([long])
    assert [name.split(":")[0] for name in seen.tokens] == ["1", "2", "3"]
    assert seen.tokens[1] == "2: it it was the < b"
    assert seen.cut
    assert seen.shares["text"].sum() == pytest.approx(1)
    ids = [[2, *gaze._encoder.encode(long).ids[at : at + 6], 3] for at in (0, 4, 8)]
    vectors = model.bert(torch.tensor(ids)).pooler_output
    expected = (vectors @ model.window_score.weight[0]).softmax(0)
    np.testing.assert_allclose(seen.shares["text"], expected.detach().numpy(), atol=1e-5)
    assert gaze.look(["the animal"]).layers.shape == (2, 4, 4, 4)
    run_command("attention", str(folder), "--text", long, "--out", str(tmp_path / "a.html"))
    html = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert html.count('<svg class="attention shaded"') == html.count("<svg") == 1
    assert "2: it it was the &lt; b" in html
    assert "The end of the text is not read." in html


def test_a_backbone_without_attention_is_refused_and_says_which_have_it(tmp_path, run_command):
    folder = fill_classifier(tmp_path / "rnn", "rnn", RNN | {"pooling": "max"})
    assert not attention.can_be_looked_at(folder)
    with pytest.raises(StageError, match="the backbone 'rnn' with pooling 'max' has no attention") as refused:
        run_command("attention", str(folder), "--text", "it", "--out", str(tmp_path / "a.svg"))
    assert "model.backbone=transformer" in refused.value.remedy


def test_a_report_shows_what_a_baseline_looks_at(make):
    data = make.task_data(["the animal was tired", "it <b>"] * 3, [0, 1, 2] * 2)
    model = make.model(data=data)
    fill_classifier(model.path, "rnn", RNN | {"pooling": "attention"})
    run = make.metrics([1, 1, 2, 0, 1, 2], [0, 1, 2] * 2, model=model, data=data)
    report = collect([run], task_data=[data], models=[model], attention=1)
    shares = report["tasks"][0]["attention"]["views"][0]["shares"]
    assert sum(shares[0]["weights"]) == pytest.approx(1, abs=1e-3)
    html = page.render(report)
    assert html.count('<svg class="attention shaded"') == 1
    assert "The stronger a token's shade" in html
    assert "On the left each token" not in html
    assert "What the text's vector is made of" in markdown_page.render(report)


def test_a_model_without_attention_has_no_pictures(make):
    model = make.model()
    run = make.metrics([0, 1], [0, 1], model=model)
    assert collect([run], models=[model], attention=3)["tasks"][0]["attention"] is None
