"""The doctor's figures are the machine's, and each mistake of an environment is found with a remedy."""

import json
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
import torch

from bertkit import doctor


def problems(tmp_path: Path, **environment: str) -> dict[str, str]:
    found = doctor.examine(tmp_path, {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", **environment})
    assert all(bool(one.remedy) == bool(one.problem) for one in found)
    return {one.name: one.problem for one in found if one.problem is not None}


def test_figures_are_those_of_the_machine(tmp_path: Path) -> None:
    found = {one.name: one.value for one in doctor.examine(tmp_path, {"HF_HUB_OFFLINE": "1"})}
    assert found["torch"] == torch.__version__
    assert found["cores"].split(",")[0] == str(len(os.sched_getaffinity(0)))
    assert found["instructions"] == torch.backends.cpu.get_cpu_capability()
    assert found["Hugging Face Hub"] == "offline, by HF_HUB_OFFLINE"


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({"OMP_NUM_THREADS": "4096"}, "OMP_NUM_THREADS"),
        ({"MASTER_PORT": "29500"}, "launch"),
        ({"WORLD_SIZE": "2"}, "launch"),
        ({"HF_ENDPOINT": "hub.example"}, "HF_ENDPOINT"),
        ({"ACCELERATE_USE_DEEPSPEED": "true"}, "accelerate"),
    ],
)
def test_a_mistake_is_found(tmp_path: Path, environment: dict[str, str], name: str) -> None:
    assert problems(tmp_path, **environment).keys() - problems(tmp_path).keys() == {name}


def test_the_hub_answers_or_does_not(tmp_path: Path) -> None:
    class Refusing(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:  # http.server's name
            self.send_error(403)

        def log_message(self, *of_request: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        online = {"HF_HUB_OFFLINE": "", "HF_ENDPOINT": address}
        found = {one.name: one.value for one in doctor.examine(tmp_path, online)}
        assert found["Hugging Face Hub"] == f"{address} answers"
        server.shutdown()
    assert problems(tmp_path, **online)["Hugging Face Hub"] == "does not answer"


def test_a_launched_process_is_no_mistake(tmp_path: Path) -> None:
    assert "launch" not in problems(tmp_path, MASTER_PORT="29500", WORLD_SIZE="2", RANK="0")


def test_bounds_of_containers_and_memory(tmp_path: Path) -> None:
    file = tmp_path / "cpu.max"
    for text, quota in (("150000 100000", 1.5), ("max 100000", None), ("", None)):
        file.write_text(text)
        assert doctor._cpu_quota(file) == quota
    assert doctor._memory(2**30).problem is not None
    assert doctor._memory(2**35).problem is None


def test_the_command_ends_with_3_where_there_is_a_problem(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bertkit", "doctor", "--root", str(tmp_path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "4096"})
    assert done.returncode == 3, done.stderr
    (line,) = [one for one in json.loads(done.stdout) if one["name"] == "OMP_NUM_THREADS"]
    assert "more than" in line["problem"]
