"""Defines every setting of the service. Each is an environment variable `CHAINZRULE_<NAME>` and a flag."""

from collections.abc import Iterable
from dataclasses import fields
from difflib import get_close_matches
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from chainzrule.service.addresses import DAY, Addresses
from chainzrule.service.namelist import NameList, Names
from chainzrule.service.runtime.graph import Device
from chainzrule.service.serving.engine import Limits
from chainzrule.service.serving.question import Allowance
from chainzrule.service.stability.verdict import Thresholds

PREFIX = "CHAINZRULE_"
ROWS = 10_000_000
THRESHOLDS = Thresholds()


Probability = Annotated[float, Field(ge=0, le=1)]
Percentile = Annotated[int, Field(ge=0, le=100)]


class Settings(Addresses):
    """Serve the models of a repository; every prediction carries how stable it is.

    Each option is also an environment variable: --max-rows is CHAINZRULE_MAX_ROWS.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid", cli_parse_none_str="none"
    )

    models: Path = Field(default=Path("models"), description="the model repository: NAME/VERSION directories")
    device: Device = Field(
        default="cpu", description="cpu, cuda (refuses to start where it does not work) or auto (falls back to the CPU)"
    )
    threads: int = Field(
        default=0, ge=0, le=256, description="threads of one model run; 0 takes the container's CPU quota"
    )
    default_model: str | None = Field(
        default=None, description="the model of requests that name none; else the only one in the repository"
    )
    required_models: NameList = Field(
        default=Names(),
        description="comma-separated models that must be ready for /readyz; empty means those that once were",
    )
    keep_versions: int = Field(
        default=2, ge=1, le=1000, description="newest ready versions of a model that stay loaded"
    )
    reload_seconds: float = Field(
        default=5.0, ge=0, le=DAY, description="seconds between two looks at the repository; 0 looks only at SIGHUP"
    )
    load_timeout: float = Field(
        default=60.0,
        gt=0,
        le=DAY,
        description="seconds that loading and checking one version may take before it is ended and FAILED",
    )
    max_load_bytes: int = Field(
        default=4 * 2**30,
        ge=2**24,
        le=2**48,
        description="memory that loading and checking one version may take before it is FAILED",
    )
    max_body_bytes: int = Field(
        default=8 * 2**20, ge=1, le=2**30, description="largest request body, also after decompression"
    )
    max_held_bytes: int = Field(
        default=96 * 2**20,
        ge=2**16,
        le=2**40,
        description="bytes that all requests together may hold, bodies and what is read from them; beyond comes 503",
    )
    max_rows: int = Field(default=4096, ge=1, le=1_000_000, description="most rows in one prediction request")
    max_sensitivity_rows: int = Field(
        default=256, ge=1, le=1_000_000, description="most rows in one sensitivity request"
    )
    max_draws: int = Field(
        default=100_000,
        ge=0,
        le=ROWS,
        description="most further rows that one request may have run: noise draws, differences",
    )
    measured_share: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="share of /predict requests whose stability is computed where that takes further runs",
    )
    max_certificates: int = Field(default=32, ge=0, le=ROWS, description="most rows in one request for certificates")
    request_timeout: float = Field(
        default=30.0,
        gt=0,
        le=DAY,
        description="seconds after which an unanswered request gets 504; X-Request-Timeout may shorten",
    )
    inline_milliseconds: float = Field(
        default=1.0,
        ge=0,
        description="runs expected to take less run on the event loop; 0 sends all to a worker thread",
    )
    max_batch_rows: int = Field(
        default=1024, ge=1, le=ROWS, description="rows up to which waiting requests share one run"
    )
    max_queue_rows: int = Field(
        default=16384, ge=1, le=ROWS, description="rows that may wait for one model; beyond comes 429"
    )
    window_rows: int = Field(
        default=10_000, ge=1, le=ROWS, description="rows in a model version's rolling stability window"
    )
    window_minimum_rows: int = Field(
        default=1_000, ge=1, description="rows the window must hold before ratios are computed from it"
    )
    unstable_flip_probability: Probability = Field(
        default=THRESHOLDS.unstable_flip_probability,
        description="flip probability from which a prediction is unstable",
    )
    elevated_flip_probability: Probability = Field(
        default=THRESHOLDS.elevated_flip_probability,
        description="flip probability from which a prediction is elevated",
    )
    elevated_volatility_percentile: Percentile = Field(
        default=THRESHOLDS.elevated_volatility_percentile,
        description="percentile of the card's volatility above which a prediction is elevated",
    )
    regression_elevated_percentile: Percentile = Field(
        default=THRESHOLDS.regression_elevated_percentile, description="the same for regression"
    )
    regression_unstable_percentile: Percentile = Field(
        default=THRESHOLDS.regression_unstable_percentile,
        description="percentile whose multiple makes a regression unstable",
    )
    regression_unstable_factor: float = Field(
        default=THRESHOLDS.regression_unstable_factor,
        gt=0,
        description="how many times that percentile makes a regression unstable",
    )
    novel_percentile: float = Field(
        default=THRESHOLDS.novel_percentile,
        ge=0,
        le=100,
        description="percentile of the card's novelty above which a row is novel, and so elevated",
    )
    close_call_probability: Probability = Field(
        default=THRESHOLDS.close_call_probability, description="chance of being right below which an answer is elevated"
    )
    policies: Path | None = Field(
        default=None, description="TOML file that says by model what to do with answers that are not stable"
    )
    drain_grace: float = Field(
        default=5.0, ge=0, le=DAY, description="seconds between turning not ready at SIGTERM and closing the listener"
    )
    shutdown_timeout: int = Field(
        default=30,
        ge=1,
        le=DAY,
        description="seconds that requests in flight get to finish once the listener is closed",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="least severe log level"
    )
    access_log: bool = Field(
        default=False, description="log every request's method, route, status and time (never its query or body)"
    )
    token_file: Path | None = Field(
        default=None, description="file or folder of the bearer tokens that all routes but health and metrics ask for"
    )
    guard_metrics: bool = Field(default=False, description="have /metrics ask for a token with the scope observe too")
    allowed_hosts: NameList = Field(
        default=Names(),
        description="comma-separated names in Host; empty means any, or only localhost where it listens on loopback",
    )
    trusted_proxies: NameList = Field(
        default=Names(),
        description="comma-separated networks of proxies that say for whom they ask; unix is a Unix socket",
    )
    client_rows_per_second: float = Field(
        default=0.0,
        ge=0,
        le=1e9,
        allow_inf_nan=False,
        description="rows a second that each client may send; 0 is no limit",
    )
    client_milliseconds_per_second: float = Field(
        default=0.0,
        ge=0,
        le=1e6,
        allow_inf_nan=False,
        description="milliseconds a second that models may run for each client; 0 is no limit",
    )
    require_signature: Path | None = Field(
        default=None,
        description="public key, or folder of them: versions that none of these keys has signed are not served",
    )
    playground: bool = Field(default=True, description="serve a page at / on which people can try the models")
    admin: bool = Field(default=False, description="let callers load and unload models under /v2/repository")
    cors_origins: NameList = Field(default=Names(), description="comma-separated origins that browsers may call from")
    root_path: str = Field(default="", description="path prefix under which a proxy serves the application")

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, names: Names) -> Names:
        for name in names:
            if name != "unix":
                try:
                    ip_network(name)
                except ValueError:
                    raise ValueError("must be networks like 10.0.0.0/8, addresses, or unix") from None
        return names

    @model_validator(mode="after")
    def _work_together(self) -> Self:
        if self.guard_metrics and self.token_file is None:
            raise ValueError("guard_metrics needs token_file: without tokens nobody could be told apart")
        if self.window_minimum_rows > self.window_rows:
            raise ValueError("window_minimum_rows is more than window_rows: its ratios would never appear")
        if self.max_body_bytes * 2 > self.max_held_bytes:
            raise ValueError("max_held_bytes is less than twice max_body_bytes: the largest bodies would be refused")
        if self.elevated_flip_probability > self.unstable_flip_probability:
            raise ValueError("elevated_flip_probability is more than unstable_flip_probability: it would never speak")
        return self

    @property
    def limits(self) -> Limits:
        """Returns the engines' bounds."""
        return Limits(self.inline_milliseconds / 1000.0, self.max_batch_rows, self.max_queue_rows)

    @property
    def allowance(self) -> Allowance:
        """Returns what one question may take."""
        return Allowance(self.max_draws, self.measured_share, self.max_certificates, self.max_batch_rows)

    @property
    def thresholds(self) -> Thresholds:
        """Returns the thresholds at which verdicts begin."""
        return Thresholds(**{field.name: getattr(self, field.name) for field in fields(Thresholds)})


def unknown_variables(names: Iterable[str]) -> dict[str, str | None]:
    """Returns the environment variables that look like settings but are none, each with the most similar setting."""
    known = [name.upper() for name in Settings.model_fields]
    found: dict[str, str | None] = {}
    for name in names:
        setting = name.upper().removeprefix(PREFIX)
        if name.upper().startswith(PREFIX) and setting not in known:
            found[name] = next((PREFIX + near for near in get_close_matches(setting, known, n=1)), None)
    return found
