"""What the hardware and the launch allow is checked before training, and measured."""

import pytest
import torch
from accelerate.utils import DistributedType
from torch import nn

from bertkit.errors import HostError
from bertkit.training import processes
from bertkit.training.ceiling import peak_flops


def test_a_precision_that_the_hardware_lacks_is_refused_not_emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_cpu_precisions", set)
    with pytest.raises(HostError, match="mixed_precision is bf16, which this hardware does not have"):
        processes.make_accelerator("cpu", "bf16")
    with pytest.raises(HostError, match="mixed_precision is fp16, which CPUs have not"):
        processes.make_accelerator("cpu", "fp16")


def test_auto_is_fp32_on_every_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_cpu_precisions", lambda: {"bf16"})
    assert processes.make_accelerator("cpu", "auto").mixed_precision == "no"
    assert processes.make_accelerator("cpu", "bf16").mixed_precision == "bf16"


@pytest.mark.parametrize(
    ("capability", "able"),
    [((7, 0), {"fp16"}), ((7, 5), {"fp16"}), ((8, 0), {"fp16", "bf16"}), ((9, 0), {"fp16", "bf16"})],
)
def test_gpus_have_bf16_from_the_generation_that_has_it(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], able: set[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    assert processes._gpu_precisions() == able
    assert processes._precision("auto", on_cpu=False) == ("bf16" if "bf16" in able else "no")
    assert processes._precision("fp16", on_cpu=False) == "fp16"


@pytest.mark.parametrize("kind", [DistributedType.FSDP, DistributedType.DEEPSPEED])
def test_a_launch_that_splits_the_model_is_refused(kind: DistributedType) -> None:
    with pytest.raises(HostError, match=f"distributed_type is {kind.value}, which training does not support"):
        processes._check_launch(kind)


def test_fsdp_is_ours_from_version_2_and_refused_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(HostError, match="asks for FSDP version 1"):
        processes.make_accelerator("cpu", "no")
    monkeypatch.setenv("FSDP_VERSION", "2")
    assert processes.make_accelerator("cpu", "no").distributed_type == DistributedType.NO
    assert processes.wants_sharding(), "the next stage of this launch must hear of it too"


@pytest.mark.filterwarnings("ignore:`torch.jit.script_method`:DeprecationWarning")
def test_compiling_keeps_the_names_and_needs_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    module = nn.Sequential(nn.Linear(2, 2))
    names = list(module.state_dict())
    monkeypatch.setattr(processes.shutil, "which", lambda name: None)
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(HostError, match="needs a C\\+\\+ compiler, and there is no g\\+\\+"):
        processes.compile_in_place(module)
    monkeypatch.setattr(processes.shutil, "which", lambda name: f"/usr/bin/{name}")
    processes.compile_in_place(module)
    assert list(module.state_dict()) == names


def test_the_ceiling_never_falls_and_leaves_the_generator_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    first = peak_flops(torch.device("cpu"), "no", seconds=0.01)
    assert torch.equal(torch.rand(3), expected)
    assert 1e8 < first < 1e14
    assert peak_flops(torch.device("cpu"), "no", seconds=0.01) >= first
