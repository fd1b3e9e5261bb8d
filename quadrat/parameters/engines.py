"""Parameters of the engine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from quadrat.parameters.declare import AUTO, Group, parameter

USUAL_THREADS = 10


@dataclass(frozen=True, slots=True)
class EngineSettings(Group):
    """Where and how the network runs."""

    title: ClassVar[str] = "engine"
    about: ClassVar[str] = "Where and how the network runs."

    engine: str = parameter(
        "option",
        "Engine that runs the network; auto uses the first that can run it here.",
        default="auto",
        choices=("auto", "openvino", "onnx", "paddle"),
        shapes_result=True,
        since="1",
    )
    device: str = parameter(
        "option",
        "Device that runs the network; gpu is an error if there is no GPU.",
        default="cpu",
        choices=("cpu", "gpu"),
        shapes_result=True,
    )
    precision: str = parameter(
        "option",
        "Number format of the network: fp32 is exact, bf16 is faster on a CPU that has it, "
        "fp16 needs a GPU or a CPU that has it, int8 needs use-trt with the paddle engine.",
        default="fp32",
        choices=("fp32", "bf16", "fp16", "int8"),
        shapes_result=True,
    )
    batch_size: int | str = parameter(
        "auto",
        "Number of images, tiles or frames of one size that the network processes at once; auto tries sizes on the "
        "first inputs, and takes only one that gives the same values as 1.",
        default=1,
        unit="images",
        low=1,
        high=1024,
    )
    cpu_threads: int | str = parameter(
        "auto",
        "Maximum number of threads of the network on the CPU; never more than there are cores. auto tries numbers of "
        "threads on the first inputs, and takes only one that gives the same values as 10.",
        default=USUAL_THREADS,
        unit="threads",
        low=1,
        high=4096,
    )
    tuning_seconds: float = parameter(
        "float",
        "Most seconds that batch-size=auto and cpu-threads=auto take to try values, for each model.",
        default=20.0,
        unit="seconds",
        low=1.0,
        high=3600.0,
        since="6",
    )
    enable_mkldnn: bool = parameter(
        "bool",
        "Require oneDNN on the CPU. The openvino engine always uses it, the paddle engine uses it if the model "
        "allows, and the onnx engine does not have it.",
        shapes_result=True,
    )
    use_trt: bool = parameter(
        "bool", "Run the network through TensorRT. Needs device=gpu.", shapes_result=True
    )
    min_subgraph_size: int = parameter(
        "int",
        "Fewest operators of a part of the network that runs in TensorRT. Needs use-trt.",
        default=3,
        unit="operators",
        low=1,
        high=10_000,
        shapes_result=True,
    )
    enable_auto_tune: bool = parameter(
        "bool", "Collect TensorRT's input shapes from the first images. Needs use-trt.", shapes_result=True
    )
    print_detail: bool = parameter("bool", "Log the engine's own messages.")

    @property
    def tunes(self) -> bool:
        """True if a value is to be found by trying."""
        return AUTO in (self.batch_size, self.cpu_threads)

    @property
    def size(self) -> int:
        """The batch size that is given, or 1 with auto."""
        return self.batch_size if isinstance(self.batch_size, int) else 1

    @property
    def threads(self) -> int:
        """The most threads that are given, or the default with auto."""
        return self.cpu_threads if isinstance(self.cpu_threads, int) else USUAL_THREADS

    def plain(self) -> EngineSettings:
        """Return the settings with numbers in place of auto, as engines take them: those that auto starts from."""
        return replace(self, batch_size=self.size, cpu_threads=self.threads)
