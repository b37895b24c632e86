"""Writes the dashboards: `python -m deploy.grafana.generate` writes dashboards/*.json, which Grafana reads."""

import json
from pathlib import Path

from deploy.grafana.panels import Json, Panel, Query, dashboard, heatmap, lines, number, shares, table, variable

FOLDER = Path(__file__).parent / "dashboards"
ONE = 'model="$model",version=~"$version"'
PREDICTING = 'route=~"/predict|/sensitivity|/v2/.+/infer|/v1/.+:.+|/inference.+Infer"'
VERSION = "version {{version}}"

MODEL_CHOICE = variable(
    "model",
    "Model",
    "One at a time: volatility is in the unit of the model's own output.",
    "chainzrule_model_info",
)
VERSION_CHOICE = variable(
    "version",
    "Version",
    "All versions that are loaded, or some of them.",
    'chainzrule_model_info{model="$model"}',
    several=True,
)


def quantiles(metric: str, labels: str, by: str = "version", shown: tuple[int, ...] = (50, 90, 99)) -> list[Query]:
    """Returns queries of percentiles of a histogram at each moment, over all replicas."""
    rate = f"sum by (le, {by}) (rate({metric}_bucket{{{labels}}}[$__rate_interval]))"
    name = VERSION if by == "version" else f"{{{{{by}}}}}"
    return [Query(f"histogram_quantile({percent / 100:g}, {rate})", f"p{percent} {name}") for percent in shown]


def card(metric: str, name: str, more: str = "") -> Query:
    """Returns a query of the card's value, which is drawn dashed."""
    return Query(
        f"max by (version) (chainzrule_reference_{metric}{{{ONE}{more}}})", f"card: {name} {VERSION}", reference=True
    )


def recorded(name: str, legend: str) -> Query:
    """Returns a query of a series of deploy/prometheus/rules/recording.yml."""
    return Query(f"model_version:chainzrule_{name}{{{ONE}}}", f"{legend} {VERSION}")


def stability() -> Json:
    """Returns the dashboard that shows whether the model is as stable as its card promises, and if not, where."""
    percentiles = [card("prediction_volatility", f"p{p}", f',percentile="{p}"') for p in (50, 90, 99)]
    volatility: list[Panel] = [
        lines(
            "Volatility against the card's",
            "Standard deviation of the reported output under one noise sigma, in the output's own unit; dashed, what "
            "the held-out rows had.",
            *quantiles("chainzrule_prediction_volatility", ONE),
            *percentiles,
        ),
        heatmap(
            "Volatility distribution",
            "Predictions by volatility. A second band, or one that moves up, says that a part of the traffic is less "
            "stable than the rest.",
            Query(
                f"sum by (le) (increase(chainzrule_prediction_volatility_bucket{{{ONE}}}[$__rate_interval]))", "{{le}}"
            ),
        ),
        lines(
            "Mean volatility over the card's mean",
            "1 is what the held-out rows had; the alert begins at 1.5. Over ten minutes, of all replicas, and over "
            "each replica's rolling window, which is absent until it holds 1,000 rows.",
            recorded("prediction_volatility_relative:mean10m", "ten minutes,"),
            Query(
                f"chainzrule_prediction_volatility_reference_ratio{{{ONE}}}", f"window, {VERSION} on {{{{instance}}}}"
            ),
            mark=1.5,
        ),
        lines(
            "Volatility relative to the card's mean",
            "Median, p90 and p99 over the predictions of each moment.",
            *quantiles("chainzrule_prediction_volatility_relative", ONE),
            mark=1.0,
        ),
    ]
    steepness = [
        lines(
            "Gradient tail ratio against the card's",
            "99th percentile over mean of the gradient norms: over all replicas' rolling windows, and over each. "
            "Absent until a window holds 1,000 rows.",
            recorded("gradient_tail_ratio:mean", "all replicas,"),
            Query(f"chainzrule_gradient_tail_ratio{{{ONE}}}", f"{VERSION} on {{{{instance}}}}"),
            card("gradient_tail_ratio", "tail ratio"),
        ),
        lines(
            "Input gradient norm",
            "Score sensitivity per noise sigma: median, p90 and p99.",
            *quantiles("chainzrule_input_gradient_norm", ONE),
        ),
        lines(
            "Rows in the rolling windows",
            "How many rows each replica's window holds.",
            Query(f"chainzrule_gradient_window_samples{{{ONE}}}", f"{VERSION} on {{{{instance}}}}"),
            width=24,
        ),
    ]
    of_all = f"ignoring (verdict) group_left () sum(rate(chainzrule_predictions_total{{{ONE}}}[$__rate_interval]))"
    decisions = [
        shares(
            "Verdicts",
            "Share of the predictions by verdict.",
            Query(
                f"sum by (verdict) (rate(chainzrule_predictions_total{{{ONE}}}[$__rate_interval])) / {of_all}",
                "{{verdict}}",
            ),
            {"stable": "green", "elevated": "yellow", "unstable": "red"},
        ),
        lines(
            "Unstable share against the card's",
            "Share of the predictions that are unstable, by version, over ten minutes.",
            recorded("unstable:ratio10m", "unstable,"),
            Query(f"model_version:chainzrule_unstable:reference{{{ONE}}}", f"card: {VERSION}", reference=True),
            unit="percentunit",
        ),
        lines(
            "Flip probability",
            "Chance that the noise changes the label: median, p90 and p99. Regression models have none.",
            *quantiles("chainzrule_prediction_flip_probability", ONE),
            unit="percentunit",
        ),
        lines(
            "Close calls",
            "Share of the predictions whose label is right with less than the chance that the settings ask for; 0 for "
            "cards that do not tell.",
            Query(
                f"sum by (version) (rate(chainzrule_close_calls_total{{{ONE}}}[$__rate_interval])) "
                f"/ sum by (version) (rate(chainzrule_predictions_total{{{ONE}}}[$__rate_interval]))",
                f"close, {VERSION}",
            ),
            unit="percentunit",
        ),
        lines(
            "Flip risk",
            "Share of the predictions whose label the noise changes with a chance of a hundredth or more.",
            recorded("flip_risk:ratio10m", "at risk,"),
            unit="percentunit",
        ),
    ]
    all_rows = f"ignoring (feature) group_left () sum(rate(chainzrule_predictions_total{{{ONE}}}[$__rate_interval]))"
    inputs = [
        lines(
            "Rows out of range against the card's",
            "Share of the rows with any feature outside its training range.",
            recorded("out_of_range:ratio10m", "out of range,"),
            card("out_of_range_ratio", "rows out of range"),
            unit="percentunit",
        ),
        lines(
            "Novel rows against the card's",
            "Share of the rows that are less like the training rows than nearly all held-out rows were.",
            recorded("novel:ratio10m", "novel,"),
            card("novel_ratio", "novel rows"),
            unit="percentunit",
        ),
        lines(
            "Features most often out of range",
            "Share of the predictions in which the feature lies outside its training range: the ten most frequent.",
            Query(
                f"topk(10, sum by (feature) (rate(chainzrule_out_of_range_features_total{{{ONE}}}[$__rate_interval])) "
                f"/ {all_rows})",
                "{{feature}}",
            ),
            unit="percentunit",
        ),
        lines(
            "Outputs that are not finite",
            "Rows refused because the model's output was NaN or infinity.",
            Query(f"sum by (version) (rate(chainzrule_nonfinite_outputs_total{{{ONE}}}[$__rate_interval]))", VERSION),
            unit="cps",
        ),
        lines(
            "Declared effects that are broken",
            "Rows explained by /sensitivity at which the model breaks an effect that its card declares; empty for "
            "cards that declare none.",
            Query(
                f"sum by (feature, version) (rate(chainzrule_constraint_violations_total{{{ONE}}}[$__rate_interval])) "
                f"or 0 * max by (version) (chainzrule_model_info{{{ONE}}})",
                f"{{{{feature}}}} {VERSION}",
            ),
            unit="cps",
        ),
    ]
    told = f'{ONE},kind!="probability"'  # labels, or the intervals of predicted numbers
    given = f"rate(chainzrule_answers_total{{{told}}}[10m])"
    answers = [
        lines(
            "Answers against the card's",
            "Share of the rows by label, or by interval of the predicted number.",
            Query(
                f"sum by (kind, bin, version) ({given}) / on (kind, version) group_left () "
                f"sum by (kind, version) ({given})",
                f"{{{{bin}}}} {VERSION}",
            ),
            Query(
                f"max by (kind, bin, version) (chainzrule_reference_answers_ratio{{{told}}})",
                f"card: {{{{bin}}}} {VERSION}",
                reference=True,
            ),
            unit="percentunit",
        ),
        lines(
            "Drift of the answers",
            "How unlike the held-out rows' the latest 1,000 answers are; usual ones exceed 3 once in 10^6 rows.",
            Query(
                f"max by (kind, version) (chainzrule_answers_drift{{{ONE}}})",
                f"{{{{kind}}}} {VERSION}",
            ),
            mark=3.0,
        ),
        lines(
            "Decisions of the policy",
            "Rows by what the model's policy decided; empty for models without one.",
            Query(
                f"sum by (action, version) (rate(chainzrule_decisions_total{{{ONE}}}[$__rate_interval])) "
                f"or 0 * max by (version) (chainzrule_model_info{{{ONE}}})",
                f"{{{{action}}}} {VERSION}",
            ),
            unit="cps",
        ),
    ]
    return dashboard(
        "chainzrule-stability",
        "ChainzRule: stability",
        "How stable the predictions are, against what the model's card promises.",
        [MODEL_CHOICE, VERSION_CHOICE],
        {
            "Volatility: how much the answers would move under the declared noise": volatility,
            "Steepness: how the model is where traffic is": steepness,
            "Decisions: which answers are at risk": decisions,
            "Inputs: what the model is asked": inputs,
            "Answers: what the model gives out": answers,
        },
        ["chainzrule-operations"],
    )


def operations() -> Json:
    """Returns the dashboard that shows whether the service answers, how fast, and how full it is."""
    rate = "rate(chainzrule_request_duration_seconds_count"
    glance = [
        number("Replicas", "Replicas that Prometheus reaches.", Query('sum(up{job="chainzrule"})')),
        number("Draining", "Replicas that are shutting down.", Query("sum(chainzrule_draining)"), warn=1),
        number(
            "Models not ready",
            "Models without a ready version on some replica.",
            Query('sum(max by (model, instance) (chainzrule_model_state{state="READY"}) == bool 0)'),
            warn=1,
        ),
        number(
            "Alerts",
            "Alerts that fire now.",
            Query('count(ALERTS{alertname=~"ChainzRule.*", alertstate="firing"}) or vector(0)'),
            warn=1,
        ),
        number(
            "Availability burn, 1 h",
            "How fast the error budget of 0.1% is used up; 1 is just so fast as it may.",
            Query('objective:chainzrule_requests:burn_rate1h{objective="availability"}'),
            warn=14.4,
        ),
        number(
            "Latency burn, 1 h",
            "The same for predictions slower than a quarter of a second, of which there may be 1%.",
            Query('objective:chainzrule_requests:burn_rate1h{objective="latency"}'),
            warn=14.4,
        ),
    ]
    traffic = [
        lines(
            "Requests",
            "Requests a second by route and status code.",
            Query(f"sum by (route, method, code) ({rate}[$__rate_interval]))", "{{method}} {{route}} {{code}}"),
            unit="reqps",
        ),
        lines(
            "Predictions",
            "Observed rows a second by model and version.",
            Query(
                "sum by (model, version) (rate(chainzrule_predictions_total[$__rate_interval]))",
                "{{model}} version {{version}}",
            ),
            unit="cps",
        ),
    ]
    latency = [
        lines(
            "Latency of predictions",
            "Of the routes that predict; the objective is that 99% take at most a quarter of a second.",
            *quantiles("chainzrule_request_duration_seconds", PREDICTING, by="route", shown=(50, 95, 99)),
            unit="s",
            mark=0.25,
        ),
        lines(
            "Time of a run",
            "Graph and stability measures of one batch: median and p99.",
            *quantiles("chainzrule_inference_duration_seconds", "", by="model", shown=(50, 99)),
            unit="s",
        ),
    ]
    every = f"sum({rate}[$__rate_interval]))"
    errors = [
        lines(
            "Errors",
            "Share of all requests that failed on our side (5xx), or were refused (4xx).",
            Query(f'(sum({rate}{{code=~"5.."}}[$__rate_interval])) or vector(0)) / {every}', "5xx"),
            Query(f'(sum({rate}{{code=~"4.."}}[$__rate_interval])) or vector(0)) / {every}', "4xx"),
            unit="percentunit",
        ),
        lines(
            "Refusals",
            "Why requests were refused, a second.",
            Query("sum by (reason) (rate(chainzrule_rejected_requests_total[$__rate_interval]))", "{{reason}}"),
            unit="reqps",
        ),
        lines(
            "Error budgets",
            "Burn rates: the alerts begin at 14.4 over an hour and at 6 over six hours.",
            Query("objective:chainzrule_requests:burn_rate5m", "{{objective}}, 5 min"),
            Query("objective:chainzrule_requests:burn_rate1h", "{{objective}}, 1 h"),
            Query("objective:chainzrule_requests:burn_rate6h", "{{objective}}, 6 h"),
            width=24,
        ),
    ]
    saturation = [
        lines(
            "In progress and queued",
            "Requests that are being answered, and those that wait for a model.",
            Query("chainzrule_requests_in_progress", "in progress on {{instance}}"),
            Query("sum by (instance) (chainzrule_queue_depth)", "queued on {{instance}}"),
        ),
        lines(
            "Rows in a run",
            "Mean number of rows that one run answered: it rises as requests begin to wait.",
            Query(
                "sum by (model) (rate(chainzrule_batch_rows_sum[$__rate_interval])) "
                "/ sum by (model) (rate(chainzrule_batch_rows_count[$__rate_interval]))",
                "{{model}}",
            ),
        ),
        lines(
            "Processor",
            "Cores in use by each replica.",
            Query('rate(process_cpu_seconds_total{job="chainzrule"}[$__rate_interval])', "{{instance}}"),
        ),
        lines(
            "Memory",
            "Resident memory of each replica.",
            Query('process_resident_memory_bytes{job="chainzrule"}', "{{instance}}"),
            unit="bytes",
        ),
    ]
    models = [
        table(
            "Models",
            "What each replica has loaded.",
            Query("chainzrule_model_info"),
            ["model", "version", "task", "method", "provider", "instance", "sha256"],
        ),
        table(
            "States",
            "Every version that is loading, ready or failed; the log and /readyz say why one failed.",
            Query("chainzrule_model_state == 1"),
            ["model", "version", "state", "instance"],
            width=8,
        ),
        number(
            "In service for",
            "Time since the newest version was loaded.",
            Query("time() - max(chainzrule_model_loaded_timestamp_seconds)"),
            unit="s",
        ),
    ]
    return dashboard(
        "chainzrule-operations",
        "ChainzRule: operations",
        "Does the service answer, how fast, how full is it, and which models does it hold?",
        [],
        {
            "At a glance": glance,
            "Traffic": traffic,
            "Latency": latency,
            "Errors": errors,
            "Saturation": saturation,
            "Models and versions": models,
        },
        ["chainzrule-stability"],
    )


def rendered() -> dict[str, str]:
    """Returns the dashboards' files by name."""
    found = {"stability.json": stability(), "operations.json": operations()}
    return {name: json.dumps(content, indent=2, ensure_ascii=False) + "\n" for name, content in found.items()}


if __name__ == "__main__":
    for name, text in rendered().items():
        FOLDER.joinpath(name).write_text(text, encoding="utf-8")
        print(FOLDER / name)
