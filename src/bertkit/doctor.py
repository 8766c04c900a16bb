"""What this machine and environment mean for bertkit: figures, and each problem with its remedy."""

import importlib.metadata
import os
import platform
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_GIB = 2**30
_HUB = "https://huggingface.co"
_PATIENCE = 3.0  # seconds
_SHOWN = ("torch", "transformers", "tokenizers", "datasets", "accelerate", "huggingface_hub", "numpy", "pyarrow")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; with a `problem` there is a `remedy`."""

    name: str
    value: str
    problem: str | None = None
    remedy: str | None = None


def examine(folder: Path, environment: Mapping[str, str] = os.environ) -> list[Finding]:
    """Everything that is looked at; `folder` is where results would be kept. Nothing is written; the Hub is asked whether it
    answers, unless the environment says offline."""
    cores = len(os.sched_getaffinity(0))
    return [
        *_versions(),
        *_threads(cores, environment),
        *_precision(),
        *_gpu(environment),
        _memory(_available_memory()),
        *_disk(folder, environment),
        *_hub(environment),
        *_launch(environment),
    ]


def _versions() -> Iterator[Finding]:
    """Installed versions against those that bertkit's own metadata asks for."""
    from packaging.requirements import Requirement

    yield Finding("python", platform.python_version())
    try:
        wanted = [Requirement(line) for line in importlib.metadata.requires("bertkit") or []]
    except importlib.metadata.PackageNotFoundError:
        yield Finding("bertkit", "not installed as a package: the versions it needs are not known here")
        wanted = []
    needed = {one.name: one.specifier for one in wanted if one.marker is None}
    for name in dict.fromkeys([*_SHOWN, *needed]):
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, "not installed", f"bertkit needs {name}", f"pip install '{name}{needed.get(name, '')}'")
            continue
        if name in needed and not needed[name].contains(version, prereleases=True):
            remedy = f"pip install '{name}{needed[name]}'"
            yield Finding(name, version, f"bertkit needs {name}{needed[name]}", remedy)
        elif name in _SHOWN:
            yield Finding(name, version)


def _threads(cores: int, environment: Mapping[str, str]) -> Iterator[Finding]:
    quota = _cpu_quota(Path("/sys/fs/cgroup/cpu.max"))
    if quota is not None and quota < cores - 0.5:
        yield Finding(
            "cores",
            f"{cores}, of which this container may use {quota:g}",
            "more threads than that wait for each other",
            f"Set num_threads={max(1, int(quota))} and OMP_NUM_THREADS={max(1, int(quota))}.",
        )
    else:
        yield Finding("cores", str(cores))
    given = environment.get("OMP_NUM_THREADS", "")
    if given.isdigit() and int(given) > cores:
        remedy = f"Unset OMP_NUM_THREADS, or set it to {cores} or less."
        yield Finding("OMP_NUM_THREADS", given, f"is more than the {cores} cores", remedy)
    elif given:
        yield Finding("OMP_NUM_THREADS", f"{given} (training uses num_threads, by default all {cores} cores)")
    if environment.get("TOKENIZERS_PARALLELISM", "").lower() in ("false", "0", "off"):
        yield Finding("TOKENIZERS_PARALLELISM", "false: text is tokenized by one core")


def _cpu_quota(file: Path) -> float | None:
    """The cores that a control group allows, None where it sets no bound."""
    try:
        quota, period = file.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else int(quota) / int(period)


def _precision() -> Iterator[Finding]:
    """Speed of a matrix product in each type: what a CPU only emulates is many times slower."""
    import torch

    yield Finding("instructions", str(torch.backends.cpu.get_cpu_capability()))
    plain, half = (_seconds(torch.ones(384, 384, dtype=dtype)) for dtype in (torch.float32, torch.bfloat16))
    ratio = plain / half
    advice = "mixed_precision=bf16 pays" if ratio > 1.2 else "leave mixed_precision=auto, which is fp32 here"
    yield Finding("fp32 on the CPU", f"{2 * 384**3 / plain / 1e9:.0f} GFLOP/s with {torch.get_num_threads()} threads")
    yield Finding("bf16 on the CPU", f"{ratio:.2g} times as fast as fp32: {advice}")


def _seconds(matrix: "Tensor") -> float:
    """The fastest of some products; the first is for getting warm."""
    times = []
    for _ in range(4):
        started = time.perf_counter()
        matrix @ matrix
        times.append(time.perf_counter() - started)
    return min(times[1:])


def _gpu(environment: Mapping[str, str]) -> Iterator[Finding]:
    import torch

    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            facts = torch.cuda.get_device_properties(number)
            precisions = "bf16, fp16" if (facts.major, facts.minor) >= (8, 0) else "fp16"
            yield Finding(f"GPU {number}", f"{facts.name}, {facts.total_memory / _GIB:.0f} GiB, {precisions}")
    elif not any(Path(path).exists() for path in ("/dev/nvidiactl", "/dev/kfd")):
        yield Finding("GPU", "none")
    elif environment.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        yield Finding("GPU", "there, but hidden by CUDA_VISIBLE_DEVICES")
    else:
        build = f"torch {torch.__version__}"
        remedy = "Install the build of torch for your driver: https://pytorch.org/get-started/locally"
        yield Finding("GPU", "there", f"{build} does not find it", remedy)


def _available_memory() -> int:
    """Bytes that a process may still take, by the system and by its control group."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    try:
        bound = int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii"))
        used = int(Path("/sys/fs/cgroup/memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):  # no control group, or one without a bound
        return free
    return min(free, bound - used)


def _memory(free: int) -> Finding:
    shown = f"{free / _GIB:.1f} GiB free"
    if free >= 2 * _GIB:
        return Finding("memory", shown)
    return Finding("memory", shown, "BERT-base needs some 2 GiB to train", "Lower micro_batch_size, or free memory.")


def _disk(folder: Path, environment: Mapping[str, str]) -> Iterator[Finding]:
    home = Path(environment.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    cache = Path(environment.get("HF_HUB_CACHE") or home / "hub")
    for name, wanted in (("results", folder), ("Hugging Face cache", cache)):
        place = next(path for path in (wanted.absolute(), *wanted.absolute().parents) if path.exists())
        free = shutil.disk_usage(place).free
        shown = f"{wanted}: {free / _GIB:.1f} GiB free"
        if not os.access(place, os.W_OK):
            option = "--root" if name == "results" else "HF_HOME"
            yield Finding(name, shown, f"{place} cannot be written to", f"Choose another directory with {option}.")
        elif free < 2 * _GIB:
            yield Finding(name, shown, "a BERT-base with its checkpoints takes some 4 GiB", "Free some space.")
        else:
            yield Finding(name, shown)


def _hub(environment: Mapping[str, str]) -> Iterator[Finding]:
    names = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")
    off = [name for name in names if environment.get(name, "").lower() in ("1", "true", "yes", "on")]
    endpoint = environment.get("HF_ENDPOINT") or _HUB
    if not endpoint.startswith(("http://", "https://")):
        yield Finding("HF_ENDPOINT", endpoint, "is no address", "Set HF_ENDPOINT=https://..., before Python starts.")
    elif endpoint != _HUB:
        yield Finding("HF_ENDPOINT", endpoint)
    if off:
        yield Finding("Hugging Face Hub", f"offline, by {', '.join(off)}")
    elif endpoint.startswith(("http://", "https://")):
        yield _answer(endpoint)


def _answer(endpoint: str) -> Finding:
    """Whether the Hub answers at all; a refusal is an answer."""
    try:
        with urllib.request.urlopen(urllib.request.Request(endpoint, method="HEAD"), timeout=_PATIENCE):
            pass
    except urllib.error.HTTPError:
        pass
    except (OSError, ValueError, HTTPException) as e:
        said = str(getattr(e, "reason", e)) or type(e).__name__
        remedy = "Check network and proxy (HTTPS_PROXY), or work without it: HF_HUB_OFFLINE=1 and files of your own."
        return Finding("Hugging Face Hub", f"{endpoint}: {said}", "does not answer", remedy)
    return Finding("Hugging Face Hub", f"{endpoint} answers")


def _launch(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Settings with which a launch does something else than it seems to."""
    rank, size = environment.get("RANK"), environment.get("WORLD_SIZE", "1")
    if rank is None and (environment.get("MASTER_PORT") or size != "1"):
        yield Finding(
            "launch",
            f"WORLD_SIZE={size}, no RANK",
            "asked for several processes, one was started (`accelerate launch --cpu` does that)",
            "On CPUs: ACCELERATE_USE_CPU=true accelerate launch --multi_gpu --num_processes N recipes/STAGE.py ...",
        )
    home = Path(environment.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    default = home / "accelerate" / "default_config.yaml"
    if default.is_file():
        yield Finding("accelerate", f"{default} is read by every launch without --config_file")
    elif Path("accelerate_config.yaml").is_file():
        yield Finding("accelerate", "accelerate_config.yaml is read only with --config_file accelerate_config.yaml")
    if environment.get("ACCELERATE_USE_DEEPSPEED", "").lower() == "true":
        remedy = "Launch with a file of recipes/accelerate."
        yield Finding("accelerate", "DeepSpeed", "bertkit does not train with it", remedy)
