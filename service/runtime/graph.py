"""Runs ONNX graphs in ONNX Runtime. No other file imports it."""

import ctypes
import os
import threading
import weakref
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.errors import ArtifactError, DeviceError

# ONNX Runtime 1.29 and later send telemetry to their vendor unless this is set before the import.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

try:
    import onnxruntime as ort
except ImportError as error:
    raise ImportError(
        "no ONNX Runtime is installed: install chainzrule[cpu], or chainzrule[gpu] for an NVIDIA GPU (never both)"
    ) from error

Device = Literal["cpu", "cuda", "auto"]
Shape = tuple[int | str | None, ...]
Matrix = NDArray[np.float32]

# The batch sizes that have bound buffers. They are few, so that a device meets every shape while it warms up.
BOUND_ROWS = (1, 8, 64, 256, 1024)
# More rows than this run in several parts: what a graph computes on the way to its outputs takes memory by rows, and
# a row takes no longer than among more.
CPU_ROWS = 256
_CUDA_RUNTIMES = ("libcudart.so.13", "libcudart.so.12", "libcudart.so")

_CPU = "CPUExecutionProvider"
_CUDA = "CUDAExecutionProvider"

# The graph `y = Identity(x)` shows whether CUDA really runs, because ONNX Runtime falls back to the CPU silently.
_PROBE = bytes.fromhex(
    "08083a370a100a017812017922084964656e746974791201675a0f0a0178120a0a08080112040a020801"
    "620f0a0179120a0a08080112040a02080142040a001011"
)


@dataclass(frozen=True)
class Execution:
    """Says on which device and with how many threads graphs run.

    Attributes:
        device: the device that is really used, `cpu` or `cuda`.
        threads: the number of threads that one run may use on the CPU.
        note: why a `device` of `auto` came to be the CPU; empty otherwise.
    """

    device: Literal["cpu", "cuda"]
    threads: int
    note: str = ""

    @property
    def provider(self) -> str:
        """Returns ONNX Runtime's name of the device."""
        return _CUDA if self.device == "cuda" else _CPU


def choose_execution(device: Device, threads: int) -> Execution:
    """Returns where graphs run, after trying whether CUDA works.

    Raises:
        DeviceError: `cuda` was asked for and does not work here; the error says why.
    """
    if device == "cpu":
        return Execution("cpu", threads)
    reason = _cuda_fault(threads)
    if reason is None:
        return Execution("cuda", threads)
    if device == "cuda":
        raise DeviceError(f"device=cuda cannot be used: {reason}")
    return Execution("cpu", threads, note=f"device=auto runs on the CPU: {reason}")


class Graph:
    """Runs one loaded ONNX graph. It is safe to use from several threads at once."""

    def __init__(self, content: bytes, name: str, execution: Execution, arena: bool = True) -> None:
        """Loads a graph from its bytes; without an `arena`, a run's memory is freed at the end of the run.

        Raises:
            ArtifactError: ONNX Runtime cannot load the graph, or the graph refers to data outside its own file.
            DeviceError: ONNX Runtime did not load the graph on the execution's device.
        """
        try:
            self._session = _session(content, execution, arena)
        except Exception as error:  # ONNX Runtime's errors have no other common base class
            raise ArtifactError(f"ONNX Runtime cannot load it ({type(error).__name__})", name) from error
        if self._session.get_providers()[0] != execution.provider:
            raise DeviceError(f"{name} was to run on {execution.device}, but ONNX Runtime loaded it elsewhere")
        self.name = name
        self.inputs: Mapping[str, tuple[str, Shape]] = _signature(self._session.get_inputs())
        self.outputs: Mapping[str, tuple[str, Shape]] = _signature(self._session.get_outputs())
        self._names = list(self.outputs)
        self._bound: BoundRuns | None = None
        if execution.device == "cuda":
            self.bind("cuda")

    def bind(self, device: str) -> None:
        """Makes later runs use buffers bound on a device, `cuda` or `cpu`; see `BoundRuns`."""
        self._bound = BoundRuns(self._session, self.outputs, device)

    def run(self, features: Matrix) -> dict[str, NDArray[np.float32]]:
        """Returns all outputs by name, for `features`, (rows, D)."""
        most = CPU_ROWS if self._bound is None else BOUND_ROWS[-1]
        if len(features) > most:
            parts = [self.run(features[start : start + most]) for start in range(0, len(features), most)]
            return {name: np.concatenate([part[name] for part in parts]) for name in self.outputs}
        if self._bound is not None:
            return self._bound.run(features)
        return dict(zip(self.outputs, self._session.run(self._names, {"features": features}), strict=True))

    def compute(self, **inputs: NDArray[np.generic]) -> dict[str, NDArray[np.float64]]:
        """Returns all outputs by name, of a graph that computes in float64."""
        return dict(zip(self.outputs, self._session.run(self._names, inputs), strict=True))


class BoundRuns:
    """Runs one session with its input bound on the device and its outputs bound to page-locked memory of the host.

    Without it, every run on a GPU allocates device memory, and its copies go through memory that must be locked first.
    The buffers of a batch size are allocated when it first occurs, and reused. It is safe to use from several threads,
    which run one after the other.
    """

    def __init__(self, session: Any, outputs: Mapping[str, tuple[str, Shape]], device: str) -> None:
        self._session = session
        self._outputs = outputs
        self._device = device
        self._buffers: dict[int, _Buffers] = {}
        self._lock = threading.Lock()

    def run(self, features: Matrix) -> dict[str, NDArray[np.float32]]:
        """Returns all outputs by name for at most `BOUND_ROWS[-1]` rows, padded with zeros to the next batch size."""
        rows, width = features.shape
        size = BOUND_ROWS[bisect_left(BOUND_ROWS, rows)]
        with self._lock:
            buffers = self._buffers.get(size)
            if buffers is None:
                buffers = self._buffers[size] = _Buffers(self._session, self._outputs, self._device, (size, width))
            buffers.host[:rows] = features
            buffers.host[rows:] = 0.0
            buffers.input.update_inplace(buffers.host)
            self._session.run_with_iobinding(buffers.binding)
            buffers.binding.synchronize_outputs()
            # The outputs are copied, because the next run overwrites the buffers.
            return {name: found[:rows].copy() for name, found in buffers.outputs.items()}


class _Buffers:
    """Holds the buffers that one batch size is bound to."""

    def __init__(
        self, session: Any, outputs: Mapping[str, tuple[str, Shape]], device: str, shape: tuple[int, int]
    ) -> None:
        self.host = _page_locked(np.zeros(shape, dtype=np.float32), device)
        self.input = ort.OrtValue.ortvalue_from_numpy(self.host.copy(), device, 0)
        self.binding = session.io_binding()
        self.binding.bind_ortvalue_input("features", self.input)
        self.outputs: dict[str, NDArray[np.float32]] = {}
        for name, (_, dimensions) in outputs.items():
            array = _page_locked(np.zeros((shape[0], *dimensions[1:]), dtype=np.float32), device)  # type: ignore[arg-type]
            self.outputs[name] = array
            self.binding.bind_ortvalue_output(name, ort.OrtValue.ortvalue_from_numpy(array, "cpu", 0))


def _page_locked(array: NDArray[np.float32], device: str) -> NDArray[np.float32]:
    """Returns the array, with its memory page-locked for direct transfer where CUDA's runtime is available to do it."""
    for name in _CUDA_RUNTIMES if device == "cuda" else ():
        try:
            runtime = ctypes.CDLL(name)
        except OSError:
            continue
        address = ctypes.c_void_p(array.ctypes.data)
        if runtime.cudaHostRegister(address, ctypes.c_size_t(array.nbytes), ctypes.c_uint(0)) == 0:
            weakref.finalize(array, runtime.cudaHostUnregister, address)
            break
    return array


def runtime_version() -> str:
    """Returns ONNX Runtime's version."""
    return str(ort.__version__)


def _session(content: bytes, execution: Execution, arena: bool) -> Any:
    options = ort.SessionOptions()
    options.enable_cpu_mem_arena = arena
    options.intra_op_num_threads = execution.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # failures are raised as exceptions, so they need no log
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Weights outside the graph's file are refused, because this directory does not exist.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", "/nonexistent/refused")
    return ort.InferenceSession(content, options, providers=_providers(execution))


def _providers(execution: Execution) -> list[Any]:
    if execution.device == "cpu":
        return [_CPU]
    # TensorFloat-32 keeps only 10 bits of the mantissa, which are too few for a covariance.
    return [(_CUDA, {"use_tf32": "0"}), _CPU]


def _signature(values: Any) -> dict[str, tuple[str, Shape]]:
    return {value.name: (value.type, tuple(value.shape)) for value in values}


def _cuda_fault(threads: int) -> str | None:
    if _CUDA not in ort.get_available_providers():
        return "this ONNX Runtime has no CUDA; install chainzrule[gpu] instead of chainzrule[cpu]"
    try:
        session = _session(_PROBE, Execution("cuda", threads), arena=True)
    except Exception as error:  # ONNX Runtime's errors have no other common base class
        return f"ONNX Runtime failed to start CUDA ({type(error).__name__}); check the NVIDIA driver and CUDA libraries"
    if session.get_providers()[0] != _CUDA:
        return (
            "ONNX Runtime could not load CUDA; check the NVIDIA driver and that CUDA and cuDNN libraries are installed"
        )
    return None
