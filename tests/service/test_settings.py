"""Settings: their kinds, where they come from, and that each is documented."""

import os
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from chainzrule.service.settings import Settings, unknown_variables
from chainzrule.service.stability.verdict import Thresholds

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("CHAINZRULE_"):
            monkeypatch.delenv(name)


def test_defaults() -> None:
    settings = Settings()
    assert (settings.host, settings.port, settings.device) == ("127.0.0.1", 8000, "cpu")
    assert settings.token_file is None
    assert settings.cors_origins == ()
    assert settings.access_log is False
    assert settings.max_body_bytes == 8 * 2**20
    assert settings.max_rows == 4096
    assert settings.limits.inline_seconds == 0.001
    assert settings.thresholds.unstable_flip_probability == 0.05


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINZRULE_MAX_ROWS", "7")
    monkeypatch.setenv("CHAINZRULE_CORS_ORIGINS", "http://a, http://b,")
    settings = Settings()
    assert settings.max_rows == 7
    assert settings.cors_origins == ("http://a", "http://b")


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_an_empty_variable_is_as_good_as_none(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"CHAINZRULE_{name.upper()}", "")
    assert Settings() == Settings.model_validate({})
    assert getattr(Settings(), name) == Settings.model_fields[name].default


def test_flags_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINZRULE_PORT", "1")
    monkeypatch.setenv("CHAINZRULE_MAX_ROWS", "5")
    flags = ["--port", "2", "--required-models", "a,b", "--reload-seconds", "0"]
    settings = Settings(_cli_parse_args=flags, _cli_kebab_case=True)
    assert (settings.port, settings.max_rows, settings.required_models) == (2, 5, ("a", "b"))
    assert settings.reload_seconds == 0.0


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 1


BAD = [
    ("port", "-1"), ("port", "65536"), ("port", "x"), ("device", "gpu"), ("threads", "-1"), ("keep_versions", "0"),
    ("reload_seconds", "-1"), ("max_body_bytes", "0"), ("max_rows", "0"), ("max_sensitivity_rows", "0"),
    ("request_timeout", "0"), ("request_timeout", "nan"), ("inline_milliseconds", "-1"), ("max_batch_rows", "0"),
    ("max_queue_rows", "0"), ("window_rows", "0"), ("window_minimum_rows", "0"), ("unstable_flip_probability", "1.1"),
    ("elevated_flip_probability", "-0.1"), ("elevated_volatility_percentile", "101"),
    ("regression_unstable_factor", "0"), ("drain_grace", "-1"), ("shutdown_timeout", "0"), ("log_level", "loud"),
    ("access_log", "perhaps"), ("threads", "257"), ("keep_versions", "1001"), ("reload_seconds", "inf"),
    ("max_body_bytes", "1073741825"), ("max_rows", "1000001"), ("max_sensitivity_rows", "1000001"),
    ("request_timeout", "inf"), ("max_batch_rows", "10000001"), ("max_queue_rows", "10000001"),
    ("window_rows", "10000001"), ("drain_grace", "inf"), ("shutdown_timeout", "86401"),
    ("trusted_proxies", "s3cret"), ("trusted_proxies", "10.0.0.1/8"), ("client_rows_per_second", "-1"),
    ("client_rows_per_second", "inf"), ("client_milliseconds_per_second", "-1"),
    ("client_milliseconds_per_second", "nan"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), BAD)
def test_values_that_cannot_work_are_refused(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"CHAINZRULE_{name.upper()}", value)
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert caught.value.errors()[0]["loc"] == (name,)


def test_thresholds_in_the_wrong_order_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINZRULE_UNSTABLE_FLIP_PROBABILITY", "0.005")
    with pytest.raises(ValidationError, match="elevated_flip_probability is more than unstable_flip_probability"):
        Settings()
    monkeypatch.setenv("CHAINZRULE_ELEVATED_FLIP_PROBABILITY", "0.005")
    assert Settings().thresholds.unstable_flip_probability == 0.005


def test_thresholds_are_those_of_the_verdicts_unless_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().thresholds == Thresholds()
    given = Thresholds(
        unstable_flip_probability=0.3,
        elevated_flip_probability=0.2,
        elevated_volatility_percentile=90,
        regression_elevated_percentile=80,
        regression_unstable_percentile=70,
        regression_unstable_factor=2.5,
        novel_percentile=97.5,
        close_call_probability=0.8,
    )
    for name, value in asdict(given).items():
        assert Settings.model_fields[name].default == getattr(Thresholds(), name) != value
        monkeypatch.setenv(f"CHAINZRULE_{name.upper()}", str(value))
    assert Settings().thresholds == given


def test_guarded_metrics_need_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINZRULE_GUARD_METRICS", "true")
    with pytest.raises(ValidationError, match="guard_metrics needs token_file"):
        Settings()
    monkeypatch.setenv("CHAINZRULE_TOKEN_FILE", "tokens")
    assert Settings().guard_metrics


def test_proxies_are_networks_addresses_or_a_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINZRULE_TRUSTED_PROXIES", "10.0.0.0/8, fd00::/8, 192.0.2.1,unix")
    assert Settings().trusted_proxies == ("10.0.0.0/8", "fd00::/8", "192.0.2.1", "unix")


def test_misspelt_variables_are_found_with_the_nearest_setting() -> None:
    names = ["PATH", "CHAINZRULE_MAXROWS", "chainzrule_max_rows", "CHAINZRULE_MAX_ROWS", "CHAINZRULE_QQQQQQ"]
    assert unknown_variables(names) == {"CHAINZRULE_MAXROWS": "CHAINZRULE_MAX_ROWS", "CHAINZRULE_QQQQQQ": None}


def test_unknown_arguments_are_refused() -> None:
    unknown: dict[str, Any] = {"max_row": 1}
    with pytest.raises(ValidationError):
        Settings(**unknown)


def test_every_setting_has_one_line_of_description() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert "\n" not in field.description


def test_every_setting_is_documented_with_its_default() -> None:
    text = (ROOT / "docs/configuration.md").read_text()
    rows = dict(re.findall(r"^\| `([a-z_]+)` \| `([^`]*)` \|", text, re.MULTILINE))
    assert set(rows) == set(Settings.model_fields)
    for name, field in Settings.model_fields.items():
        default = field.default
        shown = "(none)" if default in (None, (), "") else str(default)
        assert rows[name] == shown, name
        assert str(field.description) in text, name
