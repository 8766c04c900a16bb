"""Layers of YAML and overrides become one typed config, or one message with every mistake."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from bertkit.config import Config, build, fingerprint, merge, parse_overrides, read_yaml, runtime
from bertkit.errors import ConfigError


class Csv(Config):
    format: Literal["csv"]
    """Kind."""
    path: str = "a.csv"
    """File."""


class Named(Config):
    dataset: str
    """Name."""


class Inner(Config):
    hidden_size: int = 128
    """Width."""
    dropout: float = 0.1
    """Share."""


class Outer(Config):
    model: Inner = Inner()
    """Sizes."""
    source: Csv | Named = Named(dataset="sst2")
    """Where from."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-4
    """Rate."""
    names: list[str] = Field(default_factory=list)
    """Names."""
    workers: int = runtime(1)
    """How many."""


def write(folder: Path, text: str) -> Path:
    path = folder / "c.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_later_layers_win_and_mappings_merge(tmp_path: Path) -> None:
    preset = read_yaml(write(tmp_path, "model: {hidden_size: 256, dropout: 0.2}\nlearning_rate: 1e-3\nnames: [a, b]\n"))
    config = build(Outer, merge(preset, parse_overrides(["model.hidden_size=512", "names=[c]"])))
    assert (config.model.hidden_size, config.model.dropout) == (512, 0.2)
    assert config.learning_rate == 0.001
    assert config.names == ["c"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E5", 1e5),
        (".5", 0.5),
        ("-3", -3),
        ("no", "no"),
        ("on", "on"),
        ("010", "010"),
        ("2024-01-01", "2024-01-01"),
    ],
)
def test_scalars_follow_json(text: str, value: object) -> None:
    assert parse_overrides([f"x={text}"]).data["x"] == value


def test_every_mistake_is_listed_with_its_line_and_a_suggestion(tmp_path: Path) -> None:
    path = write(tmp_path, "model:\n  hiden_size: 3\n  dropout: high\nlearning_rate: -1\n")
    with pytest.raises(ConfigError) as caught:
        build(Outer, merge(read_yaml(path), parse_overrides(["wrokers=2"])))
    message = str(caught.value)
    assert "4 mistakes" in message
    assert f"{path}:2: model.hiden_size: no such key, did you mean 'hidden_size'?" in message
    assert f"{path}:3: model.dropout" in message
    assert "'high'" in message
    assert f"{path}:4: learning_rate" in message
    assert "override 'wrokers=2'" in message
    assert "did you mean 'workers'?" in message


def test_another_kind_replaces_the_block_beneath_it(tmp_path: Path) -> None:
    preset = read_yaml(write(tmp_path, "source: {format: csv, path: x.csv}\n"))
    assert build(Outer, merge(preset, parse_overrides(["source.dataset=cola"]))).source == Named(dataset="cola")
    kept = build(Outer, merge(preset, parse_overrides(["source.path=y.csv"]))).source
    assert kept == Csv(format="csv", path="y.csv")


@pytest.mark.parametrize(
    ("text", "line"), [("a: 1\na: 2\n", 2), ("a: [1\n", 2), ("a: !!python/object:os.system x\n", 1)]
)
def test_bad_yaml_names_the_line(tmp_path: Path, text: str, line: int) -> None:
    with pytest.raises(ConfigError, match=f"c.yaml:{line}"):
        read_yaml(write(tmp_path, text))


def test_alias_bombs_are_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    with pytest.raises(ConfigError, match="aliases"):
        read_yaml(write(tmp_path, "\n".join(lines)))


def test_strict_types_are_not_coerced() -> None:
    for override in ("workers=true", "workers=2.5", "workers='2'", "names=a"):
        with pytest.raises(ConfigError):
            build(Outer, parse_overrides([override]))


def test_runtime_fields_are_no_part_of_the_identity() -> None:
    assert Outer(workers=8).identity() == Outer().identity()
    assert Outer(learning_rate=2.0).identity() != Outer().identity()


@pytest.mark.parametrize("sign", [",", "|", ";", "\t", "#", ":", "*"])
def test_a_single_sign_is_itself(sign: str) -> None:
    assert parse_overrides([f"source.delimiter={sign}"]).data == {"source": {"delimiter": sign}}
    assert parse_overrides(["source.delimiter=~"]).data == {"source": {"delimiter": None}}


@pytest.mark.parametrize("item", ["x", "=1", "a..b=1", "a=1 b"])
def test_malformed_overrides_are_refused(item: str) -> None:
    if item == "a=1 b":
        assert parse_overrides([item]).data == {"a": "1 b"}
        return
    with pytest.raises(ConfigError, match="override"):
        parse_overrides([item])


def test_a_key_cannot_be_both_value_and_section() -> None:
    with pytest.raises(ConfigError, match="set to a value and also given keys"):
        parse_overrides(["a=1", "a.b=2"])


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_values, max_size=4))
def test_fingerprints_ignore_the_order_of_keys(payload: dict[str, object]) -> None:
    assert fingerprint(payload) == fingerprint(dict(reversed(payload.items())))
    assert fingerprint(payload) != fingerprint({**payload, "another key": 1})


@given(st.text(max_size=200))
def test_any_text_is_a_mapping_or_a_config_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("yaml") / "any.yaml"
    path.write_bytes(text.encode("utf-8", "replace"))
    try:
        assert isinstance(read_yaml(path).data, dict)
    except ConfigError as e:
        assert "any.yaml" in str(e)
