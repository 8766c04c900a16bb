"""A Hub of our own, and a client process that knows no other."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
Client = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def hub_server() -> Iterator[Any]:
    spec = importlib.util.spec_from_file_location("hub_server", HERE / "server.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["hub_server"] = module
    spec.loader.exec_module(module)
    hub, server = module.serve()
    hub.token = module.TOKEN
    yield hub
    server.shutdown()
    server.server_close()


@pytest.fixture
def hub(hub_server: Any) -> Any:
    """The server, empty, without faults."""
    for one in (hub_server.repositories, hub_server.uploads, hub_server.faults, hub_server.requests, hub_server.before):
        one.clear()
    hub_server.bodies = b""
    return hub_server


def start(url: str, home: Path, **environment: str) -> "subprocess.Popen[str]":
    errors = (home / "stderr.txt").open("w")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    own = {"HF_ENDPOINT": url, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    with errors:
        return subprocess.Popen(
            [sys.executable, str(HERE / "client.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**kept, **own, **environment},
        )


@pytest.fixture(scope="session")
def client_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hf")


@pytest.fixture(scope="session")
def client(hub_server: Any, client_home: Path) -> Iterator[Client]:
    """Ask the client process, which holds the token that may write."""
    process = start(hub_server.url, client_home, HF_TOKEN=hub_server.token)
    assert process.stdin is not None
    assert process.stdout is not None

    def ask(do: str, **asked: Any) -> dict[str, Any]:
        print(json.dumps({"do": do, **asked}), file=process.stdin, flush=True)
        answer: dict[str, Any] = json.loads(process.stdout.readline())  # type: ignore[union-attr]
        return answer

    with process:
        yield ask


@pytest.fixture
def ask_once(tmp_path: Path) -> Client:
    """Ask a client of its own: `url` and its environment are given."""

    def ask(url: str, do: str, environment: dict[str, str], **asked: Any) -> dict[str, Any]:
        (tmp_path / "home").mkdir(exist_ok=True)
        process = start(url, tmp_path / "home", **environment)
        said, _ = process.communicate(json.dumps({"do": do, **asked}) + "\n", timeout=200)
        answer: dict[str, Any] = json.loads(said)
        return answer

    return ask
