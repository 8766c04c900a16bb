"""Files appear whole or not at all, and the operating system's refusals are explained."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bertkit import storage
from bertkit.errors import BusyError, HostError


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    storage.write_json(path, {"old": 1})
    with pytest.raises(ValueError, match="Out of range float"):
        storage.write_json(path, {"new": float("nan")})
    with pytest.raises(KeyError), storage.atomic_file(path) as file:
        file.write(b"half")
        raise KeyError
    assert json.loads(path.read_text()) == {"old": 1}
    assert os.listdir(tmp_path) == ["x.json"]


def test_a_failed_directory_leaves_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "d"
    with storage.atomic_directory(target) as folder:
        (folder / "a").write_text("1")
    with pytest.raises(KeyError), storage.atomic_directory(target) as folder:
        (folder / "a").write_text("2")
        raise KeyError
    assert (target / "a").read_text() == "1"


def test_refusals_name_the_path_and_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError) as caught:
        storage.make_directory(tmp_path / "file" / "below")
    assert str(tmp_path / "file") in str(caught.value)
    assert caught.value.remedy
    assert caught.value.exit_code == 3


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    code = (
        "import resource, signal, sys; from pathlib import Path; from bertkit import storage\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "storage.write_bytes(Path(sys.argv[1]), b'x' * 5000)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "big")], capture_output=True, text=True)
    assert "HostError" in done.stderr
    assert "cannot write" in done.stderr
    assert os.listdir(tmp_path) == []


def test_a_lock_names_its_holder_and_dies_with_it(tmp_path: Path) -> None:
    code = (
        "import signal, sys; from pathlib import Path; from bertkit import storage\n"
        "with storage.locked(Path(sys.argv[1])):\n    print('held', flush=True)\n    signal.pause()"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BusyError, match=f"pid {holder.pid} ") as caught, storage.locked(tmp_path):
            pass
        assert caught.value.exit_code == 75
        holder.kill()
    with storage.locked(tmp_path):
        assert f"pid {os.getpid()} " in (tmp_path / ".lock").read_text()


def test_digests_are_remembered_until_the_file_changes(tmp_path: Path) -> None:
    path, memory = tmp_path / "f", tmp_path / "memory.json"
    path.write_text("one")
    digests = storage.Digests(memory)
    first = digests.sha256(path)
    digests.save()
    known = json.loads(memory.read_text())
    known[str(path.resolve())][2] = "remembered"
    memory.write_text(json.dumps(known))
    assert storage.Digests(memory).sha256(path) == "remembered"
    path.write_text("another")
    assert storage.Digests(memory).sha256(path) not in ("remembered", first)
