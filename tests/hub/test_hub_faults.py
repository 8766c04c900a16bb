"""A Hub that others use too, that is slow, full, or another's page; tokens that are no tokens."""

import errno
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from bertkit import hub as hub_module
from bertkit.errors import ConfigError

Client = Callable[..., dict[str, Any]]
CREATE, LOOK, COMMIT = "POST /api/repos/create", "GET /api/models/me/it", "POST /api/models/me/it/commit"
FILES = {"config.json": b'{"a": 1}', "model.safetensors": b"weights" * 100, "README.md": b"---\ntags: []\n---\n"}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    folder = tmp_path / "small"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    return folder


def others(hub: Any, client: Client, small: Path, **files: bytes) -> Any:
    """The repository as it is pushed, with files of somebody else in a newer commit."""
    client("push", repo="me/it", folder=str(small))
    repository = hub.repositories["me/it"]
    repository.files |= files
    repository.commit()
    (small / "config.json").write_text('{"a": 2}')
    return repository


def test_anothers_commit_between_two_attempts_is_not_overwritten(hub: Any, client: Client, small: Path) -> None:
    repository = others(hub, client, small)
    hub.faults[COMMIT] = {"answer": 503, "times": 1}

    def commit_of_another() -> None:
        repository.files["notes.md"] = b"mine"
        repository.commit()

    hub.before[COMMIT] = commit_of_another
    answer = client("push", repo="me/it", folder=str(small))
    assert "pushed in between" in answer["remedy"]
    assert repository.files["config.json"] == FILES["config.json"]
    assert client("push", repo="me/it", folder=str(small))["done"]["revision"] == repository.head
    assert repository.files["notes.md"] == b"mine"


def test_what_an_older_model_left_goes_with_the_commit_and_nothing_else(hub: Any, client: Client, small: Path) -> None:
    left = {"pytorch_model.bin": b"old", "predictor.json": b"{}", "LICENSE": b"mine", "onnx/model.safetensors": b"mine"}
    repository = others(hub, client, small, **left)
    before = len(repository.revisions)
    hub.faults[COMMIT] = {"answer": "answer lost", "times": 1}
    replaces = ["*.safetensors", "pytorch_model*", "predictor.json"]
    done = client("push", repo="me/it", folder=str(small), replaces=replaces)["done"]
    assert done["revision"] == repository.head
    assert len(repository.revisions) == before + 1
    assert set(repository.files) == {*FILES, "LICENSE", "onnx/model.safetensors"}


def test_a_public_repository_is_not_taken_for_a_private_one(hub: Any, client: Client, small: Path) -> None:
    repository = others(hub, client, small)
    revisions = len(repository.revisions)
    answer = client("push", repo="me/it", folder=str(small), private=True)
    assert answer["exit_code"] == 2
    assert "public" in answer["error"]
    assert len(repository.revisions) == revisions
    assert not any(request.startswith("PUT") for request in hub.requests[-3:])


@pytest.mark.parametrize(
    ("headers", "waited"),
    [
        ({}, [1]),
        ({"Retry-After": "45"}, [45]),
        ({"Retry-After": "the time in 100 s"}, [100]),
        ({"Retry-After": "soon"}, [1]),
        ({"RateLimit": '"api";r=0;t=200'}, [200]),
    ],
)
def test_the_wait_that_is_asked_for_is_kept(
    hub: Any, client: Client, small: Path, headers: dict[str, str], waited: list[float]
) -> None:
    date = formatdate(time.time() + 100, usegmt=True)
    given = {name: value.replace("the time in 100 s", date) for name, value in headers.items()}
    hub.faults[CREATE] = {"answer": 429, "times": 1, "headers": given}
    answer = client("push", repo="me/it", folder=str(small))
    assert answer["done"]
    assert answer["waited"] == pytest.approx(waited, abs=15)


def test_who_asks_for_an_hour_is_asked_once(hub: Any, client: Client, small: Path) -> None:
    hub.faults[CREATE] = {"answer": 429, "times": 9, "headers": {"Retry-After": "3600"}}
    answer = client("push", repo="me/it", folder=str(small))
    assert (answer["exit_code"], answer["waited"]) == (3, [])
    assert "3600 s" in answer["remedy"]
    assert hub.requests.count(CREATE) == 1


@pytest.mark.parametrize("place", [CREATE, LOOK, COMMIT])
def test_a_hub_that_says_nothing_is_not_waited_for_for_ever(hub: Any, client: Client, small: Path, place: str) -> None:
    others(hub, client, small)
    hub.faults[place] = {"answer": "silence", "times": 9}
    answer = client("push", repo="me/it", folder=str(small), answer_within=0.3)
    assert answer["exit_code"] == 3
    assert "timed out" in answer["error"]
    assert answer["waited"] == [1]


def test_another_page_than_the_hubs(hub: Any, client: Client, small: Path) -> None:
    hub.faults["POST /api/validate-yaml"] = {"answer": "page", "times": 1}
    assert client("push", repo="me/it", folder=str(small))["done"]
    hub.faults[CREATE] = {"answer": "page", "times": 9}
    answer = client("push", repo="me/it", folder=str(small))
    assert (answer["exit_code"], "HF_ENDPOINT" in answer["remedy"]) == (3, True)


def test_a_card_that_the_hub_does_not_take(hub: Any, client: Client, small: Path) -> None:
    (small / "README.md").write_text("---\nlicense: made-up\n---\n")
    answer = client("push", repo="me/it", folder=str(small))
    assert answer["exit_code"] == 2
    assert '"license" must be one of' in answer["error"]
    assert "--license" in answer["remedy"]
    assert hub.repositories["me/it"].files == {}


def test_what_the_hub_says_is_said(hub: Any, client: Client, small: Path) -> None:
    hub.faults[CREATE] = {"answer": 402, "times": 9}
    assert "402: as the test asks" in client("push", repo="me/it", folder=str(small))["error"]


RESOLVE = "(GET|HEAD) /me/it/resolve"


@pytest.mark.parametrize(
    ("place", "answer"),
    # The client itself asks again for half a minute and more where a file is not answered, or with 429 and 5xx.
    [(LOOK, answer) for answer in (401, 403, 404, 429, 500, "cut", "silence")]
    + [(RESOLVE, n) for n in (401, 403, 404)],
)
def test_a_fetch_that_fails_says_why(
    hub: Any, client: Client, small: Path, client_home: Path, place: str, answer: int | str
) -> None:
    import shutil

    client("push", repo="me/it", folder=str(small))
    shutil.rmtree(client_home / "hub" / "models--me--it", ignore_errors=True)
    hub.faults[place] = {"answer": answer, "times": 1000}
    said = client("fetch", repo="me/it", attempts=1, answer_within=0.3)
    assert said.get("exit_code") == 3, said
    assert "cannot be fetched" in said["error"]
    assert not isinstance(answer, int) or f"the Hub answers {answer}" in said["error"], said
    hub.faults.clear()
    assert Path(client("fetch", repo="me/it")["done"], "config.json").read_bytes() == FILES["config.json"]


def test_a_fetch_waits_for_what_passes_and_takes_the_cache_where_the_hub_is_down(
    hub: Any, client: Client, small: Path, client_home: Path
) -> None:
    import shutil

    client("push", repo="me/it", folder=str(small))
    shutil.rmtree(client_home / "hub" / "models--me--it", ignore_errors=True)
    hub.faults[LOOK] = {"answer": 503, "times": 1}
    first = client("fetch", repo="me/it")["done"]
    hub.faults[LOOK] = {"answer": 503, "times": 1000}
    assert client("fetch", repo="me/it")["done"] == first


def test_weights_of_other_formats_stay_on_the_hub(hub: Any, client: Client, small: Path) -> None:
    others(
        hub, client, small, **{"pytorch_model.bin": b"", "onnx/model.onnx": b"", "tf_model.h5": b"", "words.txt": b""}
    )
    fetched = Path(client("fetch", repo="me/it")["done"])
    assert {path.name for path in fetched.iterdir()} == {*FILES, "words.txt"}


@pytest.mark.parametrize("token", ["hf_" + "B" * 30 + "…", "hf_" + "B" * 30 + "\x01"])
def test_what_is_no_token_is_said_and_not_shown(
    hub: Any, ask_once: Client, small: Path, tmp_path: Path, token: str
) -> None:
    answer = ask_once(hub.url, "push", {"HF_TOKEN": token}, repo="me/it", folder=str(small))
    assert answer["exit_code"] == 3, answer
    assert "BBBB" not in str(answer) + (tmp_path / "home/stderr.txt").read_text()


def test_a_password_in_the_endpoint_is_not_shown(hub: Any, ask_once: Client, small: Path, tmp_path: Path) -> None:
    url = hub.url.replace("://", "://ada:secret@")
    answer = ask_once(url, "push", {"HF_TOKEN": hub.token}, repo="me/it", folder=str(small))
    assert "secret" not in str(answer)
    assert "secret" not in str(ask_once("http://ada:secret@127.0.0.1:9", "fetch", {}, repo="me/it"))


def test_a_name_with_a_revision_is_a_repositorys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = ["me/it", "me/it@main", "me/it@refs/pr/1", "google-bert/bert-base-uncased", "a_b/c.d-e"]
    assert all(map(hub_module.is_name, names))
    assert not any(
        map(hub_module.is_name, ["it", "./me/it", "/me/it", "~/it", "me/it/at", "me/it@", "me/it@a b", "me/i t"])
    )
    (tmp_path / "me/it@main").mkdir(parents=True)
    assert not hub_module.is_name("me/it@main")
    with pytest.raises(ConfigError, match="two revisions"):
        hub_module.folder_of("me/it@one", revision="two")
    with pytest.raises(ConfigError, match="this is a folder"):
        hub_module.folder_of(tmp_path, revision="two")


def test_a_full_disk_is_no_network_and_a_bug_stays_a_bug() -> None:
    from bertkit.errors import HostError
    from bertkit.hub.patience import with_patience

    def fill() -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/cache/blob")

    def stumble() -> None:
        raise ValueError("a mistake of ours")

    with pytest.raises(HostError, match=r"(?s)/cache/blob: .*No space left on device.*HF_HOME"):
        with_patience(fill, "it cannot be fetched", "me/it")
    with pytest.raises(ValueError, match="of ours"):
        with_patience(stumble, "it cannot be fetched", "me/it")
