"""The file of policies: what it may say, and what is said about its faults."""

from pathlib import Path

import pytest

from chainzrule.service.errors import ServiceError
from chainzrule.service.policy.policies import MAX_BYTES, Destination, read_policies
from chainzrule.service.policy.policy import Rule

HERE = Path("/etc/chainzrule")
WHOLE = """
[models.credit]
novel = "abstain"
close_call = "review"
unstable = "fallback: credit-linear"

[models."*"]
out_of_range = "reject"
flip_probability = "annotate"

[reviews]
file = "reviews.jsonl"
inputs = true
"""


def test_a_whole_file_is_read() -> None:
    policies = read_policies(WHOLE.encode(), HERE)
    credit, others = policies.of("credit"), policies.of("digits")
    assert credit is not None
    assert others is not None
    assert credit.rules == {
        "novel": Rule("abstain"),
        "close_call": Rule("review"),
        "unstable": Rule("fallback", "credit-linear"),
    }
    assert others.rules == {"out_of_range": Rule("reject"), "flip_probability": Rule("annotate")}
    assert policies.destination == Destination(HERE / "reviews.jsonl", None, True)
    assert policies.names == {"credit", "credit-linear"}


def test_models_without_a_policy_have_none() -> None:
    policies = read_policies(b'[models.credit]\nnovel = "abstain"', HERE)
    assert policies.of("digits") is None
    assert policies.destination is None
    assert read_policies(b"", HERE).of("credit") is None


def test_a_webhook_may_be_the_destination() -> None:
    text = b'[reviews]\nwebhook = "https://reviews.example/rows"'
    assert read_policies(text, HERE).destination == Destination(None, "https://reviews.example/rows", False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[models.credit", "not TOML"),
        ('[model.credit]\nnovel = "abstain"', "'model' is none of models, reviews; did you mean models?"),
        ("models = 3", "models: must be a table, [models]"),
        ("[models]\ncredit = 3", "models.credit: must be a table, [models.credit]"),
        ('[models.credit]\nnovelty = "abstain"', "models.credit: 'novelty' is none of .*; did you mean novel?"),
        (
            '[models.credit]\nnovel = "refuse"',
            "must be one of annotate, review, abstain, reject, fallback: MODEL",
        ),
        ('[models.credit]\nnovel = "answer"', "models.credit.novel: must be one of"),
        ('[models.credit]\nnovel = "fallback"', "models.credit.novel: must be one of"),
        ("[models.credit]\nnovel = 1", "models.credit.novel: must be one of"),
        ('[models.credit]\nnovel = "fallback:"', "models.credit.novel: must name another model"),
        ('[models.credit]\nnovel = "fallback: credit"', "models.credit.novel: must name another model"),
        ('[models.credit]\nnovel = "review"', "models.credit.novel: a review needs a place to be sent to"),
        ("[reviews]", "reviews: must have either a file or a webhook"),
        ('[reviews]\nfile = "a"\nwebhook = "https://b"', "reviews: must have either a file or a webhook"),
        ('[reviews]\nfile = ""', "reviews.file: must be a path"),
        ('[reviews]\nwebhook = "ftp://b"', "reviews.webhook: must be an address"),
        ('[reviews]\nwebhook = "https://[b"', "reviews.webhook: must be an address"),
        ('[reviews]\nfile = "a"\ninputs = "yes"', "reviews.inputs: must be true or false"),
        ('[reviews]\npath = "a"', "reviews: 'path' is none of file, webhook, inputs"),
        ("reviews = []", "reviews: must be a table"),
    ],
)
def test_faults_are_named_with_their_place(text: str, said: str) -> None:
    with pytest.raises(ServiceError, match=said.replace("[", r"\[").replace("?", r"\?")):
        read_policies(text.encode(), HERE)


def test_what_is_no_text_or_too_long_is_refused() -> None:
    with pytest.raises(ServiceError, match="not UTF-8"):
        read_policies(b"\xff\xfe", HERE)
    with pytest.raises(ServiceError, match="bytes"):
        read_policies(b"#" * (MAX_BYTES + 1), HERE)
