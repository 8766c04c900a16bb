"""Models go to the Hub and come back: one commit, whole or not at all, and errors that say what to do."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from bertkit.hub import name_of
from bertkit.stages.publish import push_folder

Client = Callable[..., dict[str, Any]]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    folder = tmp_path / "small"
    folder.mkdir()
    (folder / "config.json").write_text('{"a": 1}')
    (folder / "model.safetensors").write_bytes(b"weights" * 100)
    return folder


def test_a_push_is_one_commit_and_comes_back(hub: Any, client: Client, client_home: Path, small: Path) -> None:
    answer = client("push", repo="me/it", folder=str(small), private=True)
    repository = hub.repositories["me/it"]
    assert repository.private
    assert answer["done"] == {"url": f"{hub.url}/me/it", "revision": repository.head, "removed": []}
    assert len(repository.revisions) == 2  # the empty one that a new repository has, and ours
    assert repository.large == {"model.safetensors"}
    fetched = Path(client("fetch", repo="me/it")["done"])
    assert {path.name: path.read_bytes() for path in fetched.iterdir()} == repository.files

    again = client("push", repo="me/it", folder=str(small))
    assert again["done"]["revision"] == repository.head
    assert len(repository.revisions) == 2

    (small / "config.json").write_text('{"a": 2}')
    client("push", repo="me/it", folder=str(small))
    assert len(repository.revisions) == 3
    shutil.rmtree(client_home / "hub" / "models--me--it")
    first = repository.revisions[1][0]
    for given in ({"repo": "me/it", "revision": first}, {"repo": f"me/it@{first}"}):
        assert json.loads((Path(client("fetch", **given)["done"]) / "config.json").read_text()) == {"a": 1}
    assert json.loads((Path(client("fetch", repo="me/it")["done"]) / "config.json").read_text()) == {"a": 2}
    assert "no such revision" in client("fetch", repo="me/it@nowhere")["error"]


REQUESTS = {
    "create": "POST /api/repos/create",
    "look": "GET /api/models/me/it",
    "plan": "POST /api/models/me/it/preupload",
    "batch": r"POST /me/it\.git/info/lfs",
    "upload": "PUT /_upload",
    "commit": "POST /api/models/me/it/commit",
}
OLD = b'{"a": 0}'


def prepared(hub: Any, client: Client, small: Path) -> Any:
    """The repository with an older revision."""
    (small / "config.json").write_bytes(OLD)
    client("push", repo="me/it", folder=str(small))
    (small / "config.json").write_text('{"a": 1}')
    (small / "model.safetensors").write_bytes(b"other weights" * 100)
    return hub.repositories["me/it"]


@pytest.mark.parametrize(
    ("place", "status"),
    # A token may write to a repository that is there without the right to make one; and the client itself asks again for
    # half a minute where these answer 500.
    [
        (place, status)
        for place in REQUESTS
        for status in (401, 403, 404, 500)
        if (place, status) not in {("create", 401), ("create", 403), ("plan", 500), ("batch", 500), ("upload", 500)}
    ],
)
def test_a_refusal_leaves_the_old_revision_and_says_what_to_do(
    hub: Any, client: Client, small: Path, place: str, status: int
) -> None:
    repository = prepared(hub, client, small)
    hub.faults[REQUESTS[place]] = {"answer": status, "times": 100}
    answer = client("push", repo="me/it", folder=str(small))
    assert len(repository.revisions) == 2
    assert repository.files["config.json"] == OLD
    assert answer["exit_code"] == 3, answer
    assert str(status) in answer["error"]
    assert answer["remedy"]
    assert bool(answer["waited"]) == (status == 500)


@pytest.mark.parametrize("answer", [429, 500, 503, "cut"])
@pytest.mark.parametrize("place", ["create", "look", "plan", "batch", "commit"])
def test_what_passes_is_tried_again(hub: Any, client: Client, small: Path, place: str, answer: int | str) -> None:
    repository = prepared(hub, client, small)
    hub.faults[REQUESTS[place]] = {"answer": answer, "times": 1}
    pushed = client("push", repo="me/it", folder=str(small))
    assert pushed["done"]["revision"] == repository.head
    assert len(repository.revisions) == 3
    assert repository.files["config.json"] == b'{"a": 1}'


def test_a_commit_whose_answer_was_lost_is_found_not_made_twice(hub: Any, client: Client, small: Path) -> None:
    repository = prepared(hub, client, small)
    hub.faults[REQUESTS["commit"]] = {"answer": "answer lost", "times": 1}
    pushed = client("push", repo="me/it", folder=str(small))
    assert pushed["done"]["revision"] == repository.head
    assert len(repository.revisions) == 3


def test_anothers_commit_in_between_is_not_overwritten(hub: Any, client: Client, small: Path) -> None:
    repository = prepared(hub, client, small)
    hub.faults[REQUESTS["commit"]] = {"answer": 412, "times": 100}
    answer = client("push", repo="me/it", folder=str(small))
    assert "pushed in between" in answer["remedy"]
    assert len(repository.revisions) == 2


@pytest.mark.parametrize("status", [401, 403])
def test_no_right_to_make_a_repository(hub: Any, client: Client, small: Path, status: int) -> None:
    hub.faults[REQUESTS["create"]] = {"answer": status, "times": 100}
    answer = client("push", repo="me/new", folder=str(small))
    assert (answer["exit_code"], hub.repositories) == (3, {})
    assert "token" in answer["remedy"]


def test_names_and_revisions_that_are_not_there(hub: Any, client: Client) -> None:
    assert client("fetch", repo="me/nothing")["exit_code"] == 3
    assert "Check the name" in client("fetch", repo="me/nothing")["remedy"]
    for name in ("nobody", "a/b/c", "me/it.git", "me/it--b", "me/it..b", "me/.it", "me/it-", "mé/it", "me/" + "a" * 97):
        assert client("push", repo=name, folder=".")["exit_code"] == 2, name
    assert not any("create" in request for request in hub.requests)


def test_without_a_network_and_offline(ask_once: Client, small: Path) -> None:
    nowhere = "http://127.0.0.1:9"
    answer = ask_once(nowhere, "push", {"HF_TOKEN": "x"}, repo="me/it", folder=str(small))
    assert (answer["exit_code"], answer["waited"]) == (3, [])
    assert "HF_ENDPOINT" in answer["remedy"]
    answer = ask_once(nowhere, "fetch", {"HF_HUB_OFFLINE": "1"}, repo="me/it")
    assert answer["exit_code"] == 3
    assert "cache" in answer["error"] + answer["remedy"]


def test_the_token_of_a_login_is_used(hub: Any, ask_once: Client, small: Path, tmp_path: Path) -> None:
    asked = {"repo": "me/it", "folder": str(small)}
    assert "hf auth login" in ask_once(hub.url, "push", {}, **asked)["remedy"]
    (tmp_path / "home/token").write_text(hub.token + "\n")
    assert ask_once(hub.url, "push", {}, **asked)["done"]["revision"] == hub.repositories["me/it"].head


def test_offline_the_cache_answers_and_nothing_is_asked(hub: Any, ask_once: Client, small: Path) -> None:
    token = {"HF_TOKEN": hub.token}
    ask_once(hub.url, "push", token, repo="me/it", folder=str(small), private=True)
    fetched = ask_once(hub.url, "fetch", token, repo="me/it")["done"]
    assert ask_once(hub.url, "fetch", {}, repo="me/it")["done"] == fetched  # it may not be seen, and is here
    hub.requests.clear()
    offline = {**token, "HF_HUB_OFFLINE": "1"}
    assert ask_once(hub.url, "fetch", offline, repo="me/it")["done"] == fetched
    answer = ask_once(hub.url, "push", offline, repo="me/it", folder=str(small))
    assert (answer["exit_code"], answer["waited"], "HF_HUB_OFFLINE" in answer["remedy"]) == (3, [], True)
    assert hub.requests == []


def test_a_model_is_pushed_fetched_and_predicts_the_same(
    hub: Any, client: Client, client_home: Path, whole_run: Path
) -> None:
    folder, scores = (whole_run / "latest/small" / name for name in ("topic@1", "topic_eval@1"))
    metrics = json.loads((scores / "metrics.json").read_text())
    options = {"scores": [metrics], "license": "apache-2.0", "language": "en"}
    pushed = client("push_folder", repo="me/topics", folder=str(folder), options=options)["done"]
    texts = ["Fresh bread and soup.", "The boat came back."]
    local = client("predict", repo=str(folder), texts=texts)["done"]
    assert client("predict", repo="me/topics", texts=texts)["done"] == local

    card = ModelCard(pushed["card"])
    assert card.data.license == "apache-2.0"
    assert card.data.pipeline_tag == "text-classification"
    (result,) = [one for one in card.data.eval_results if one.metric_type == "accuracy"]
    assert result.metric_value == pytest.approx(metrics["metrics"]["accuracy"], abs=1e-6)
    assert "[More Information Needed]" not in pushed["card"]
    assert "AutoModelForSequenceClassification" in pushed["card"]
    assert set(hub.repositories["me/topics"].files) == set(pushed["files"])

    # Neither the token nor a place on this machine may go anywhere but into the header that asks for it.
    sent = hub.bodies + b"".join(hub.repositories["me/topics"].files.values()) + json.dumps(pushed).encode()
    written = b"".join(path.read_bytes() for path in client_home.rglob("*") if path.is_file())
    assert hub.token.encode() not in sent + written
    assert str(whole_run).encode() not in sent


def test_a_pretrained_folder_and_a_private_one(hub: Any, client: Client, whole_run: Path) -> None:
    folder = whole_run / "latest/small/pretrain"
    pushed = client("push_folder", repo="me/base", folder=str(folder), options={"private": True})["done"]
    assert hub.repositories["me/base"].private
    assert 'model.fill("' in pushed["card"]
    assert "AutoModelForMaskedLM" in pushed["card"]
    assert name_of(client("fetch", repo="me/base")["done"]) == "me/base"  # for cards of what begins with it
    assert name_of(str(folder)) is None


@pytest.mark.parametrize(("stage", "said"), [("topic@1", "'predicted': "), ("pretrain", "Candidate(token=")])
def test_the_snippets_of_a_card_run_as_printed(
    hub: Any, client: Client, whole_run: Path, tmp_path: Path, stage: str, said: str
) -> None:
    """From a cache that is empty: everything comes from the Hub."""
    card = client("push_folder", repo="me/it", folder=str(whole_run / "latest/small" / stage))["done"]["card"]
    snippets = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert len(snippets) == 2
    own = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    emptied = f"import shutil; shutil.rmtree({str(tmp_path / 'hub')!r}); print('emptied')\n"
    hub.requests.clear()
    done = subprocess.run(
        [sys.executable, "-c", emptied.join(snippets)], capture_output=True, text=True, env={**kept, **own}
    )
    assert done.returncode == 0, done.stderr
    ours, _, theirs = done.stdout.partition("emptied\n")
    assert said in ours
    assert theirs.strip()
    assert hub.requests.count("GET /me/it/resolve/main/model.safetensors") + hub.requests.count(
        f"GET /me/it/resolve/{hub.repositories['me/it'].head}/model.safetensors"
    ) == len(snippets)


def test_a_dry_run_verifies_and_sends_nothing(hub: Any, whole_run: Path, tmp_path: Path) -> None:
    from bertkit.errors import ConfigError, IntegrityError

    folder = whole_run / "latest/small/topic@1"
    card, facts = push_folder(folder, "me/it", dry_run=True)
    assert card.startswith("---\n")
    assert facts["revision"] is None
    assert not hub.requests
    copy = tmp_path / "copy"
    shutil.copytree(folder.resolve(), copy)
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "model.safetensors").write_bytes(bytes(weights))
    with pytest.raises(IntegrityError, match=r"model\.safetensors"):
        push_folder(copy, "me/it", dry_run=True)
    other = json.loads((whole_run / "latest/small/topic_eval@2/metrics.json").read_text())
    with pytest.raises(ConfigError, match="are not this model's"):
        push_folder(folder, "me/it", scores=[other], dry_run=True)
