"""Describes the protocol's bodies for the documentation; requests are checked and answers written by other code.

Tests validate real answers against these schemas, so that they cannot drift apart.
"""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from chainzrule.service.api.oip.datatypes import DATATYPES

if TYPE_CHECKING:  # type checkers take no literal that is computed
    Datatype = str
else:
    Datatype = Literal[tuple(DATATYPES)]
Parameters = dict[str, str | int | float | bool]
Size = Annotated[int, Field(ge=0)]


class Answered(BaseModel):
    """Is the base of what the service answers, which has no members but the declared ones."""

    model_config = ConfigDict(extra="forbid")


class Asked(BaseModel):
    """Is the base of what callers send, whose unknown members are ignored, as the protocol requires."""

    model_config = ConfigDict(extra="allow")


class InputTensor(Asked):
    """An input's data: in `data`, or as `binary_data_size` bytes behind the JSON."""

    name: str
    datatype: Datatype
    shape: list[Size]
    parameters: Parameters | None = Field(default=None, description="binary_data_size: its bytes behind the JSON")
    data: list[Any] | None = Field(default=None, description="flat or nested, row by row")


class WantedTensor(Asked):
    """An output that is asked for."""

    name: str
    parameters: Parameters | None = Field(default=None, description="binary_data: as raw bytes")


class InferenceQuestion(Asked):
    """Rows to be predicted."""

    id: str | None = Field(default=None, description="given back in the answer")
    parameters: Parameters | None = Field(
        default=None, description="binary_data_output; noise_scale and observe as in /predict"
    )
    inputs: list[InputTensor] = Field(min_length=1)
    outputs: list[WantedTensor] | None = Field(default=None, description="the model's usual ones, unless given")


class BinarySize(Answered):
    """Where an output's data are behind the JSON."""

    binary_data_size: Size


class OutputTensor(Answered):
    """An output's data: in `data`, flat, or as `binary_data_size` bytes behind the JSON."""

    name: str
    datatype: Datatype
    shape: list[Size]
    parameters: BinarySize | None = None
    data: list[float] | list[str] | None = None


class InferenceAnswer(Answered):
    """Predictions, with their stability measures as outputs like any other."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[OutputTensor]


class ServerMetadata(Answered):
    """Who answers."""

    name: str
    version: str
    extensions: list[str]


class Liveness(Answered):
    """Whether the process answers."""

    live: bool


class ServerReadiness(Answered):
    """Whether traffic is welcome."""

    ready: bool


class ModelReadiness(Answered):
    """Whether a model answers."""

    name: str
    ready: bool


class TensorMetadata(Answered):
    """A tensor of a model; -1 is a dimension that varies."""

    name: str
    datatype: Datatype
    shape: list[Annotated[int, Field(ge=-1)]]


class ModelMetadata(Answered):
    """A model's versions and tensors."""

    name: str
    versions: list[str]
    platform: Literal["onnx_onnxv1"]
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ConfiguredTensor(Answered):
    """A tensor of one row."""

    name: str
    data_type: str = Field(description="TYPE_FP32, or TYPE_STRING for texts")
    dims: list[Size]


class ModelConfiguration(Answered):
    """What load generators ask of a model before they begin."""

    name: str
    platform: Literal["onnxruntime_onnx"]
    backend: Literal["onnxruntime"]
    max_batch_size: int = Field(ge=1, description="most rows in one request")
    input: list[ConfiguredTensor]
    output: list[ConfiguredTensor]


class Duration(Answered):
    """How often, and for how long in total."""

    count: Size
    ns: Size


class InferenceStatistics(Answered):
    """Where requests' time went; copies and caches are not measured and stay zero."""

    success: Duration
    fail: Duration
    queue: Duration
    compute_input: Duration
    compute_infer: Duration
    compute_output: Duration
    cache_hit: Duration
    cache_miss: Duration


class BatchStatistics(Answered):
    """The runs of one number of rows."""

    batch_size: Size
    compute_input: Duration
    compute_infer: Duration
    compute_output: Duration


class ModelStatistics(Answered):
    """One version's sums since it was loaded."""

    name: str
    version: str
    last_inference: Size = Field(description="milliseconds since 1970")
    inference_count: Size = Field(description="rows")
    execution_count: Size = Field(description="runs")
    inference_stats: InferenceStatistics
    batch_stats: list[BatchStatistics]
    memory_usage: list[Any]


class Statistics(Answered):
    """The statistics of one, some or all models."""

    model_stats: list[ModelStatistics]


class IndexQuestion(Asked):
    """Which models to list."""

    ready: bool = Field(default=False, description="only those that answer")


class IndexEntry(Answered):
    """A model version in the repository."""

    name: str
    version: str
    state: Literal["LOADING", "READY", "UNAVAILABLE"]
    reason: str


class RepositoryIndex(RootModel[list[IndexEntry]]):
    """All models and versions."""


class Failure(Answered):
    """Every error of the protocol."""

    error: str
