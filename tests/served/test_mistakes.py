"""Rows as people have them, asked of a whole application: taken, or refused with the way out."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from chainzrule.training.estimators import ChainzRuleClassifier
from tests.service.conftest import serve

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
ROW = [59, 2, 32.1, 101, 157, 93.2, 38, 4, 4.8598, 87]  # the README's
NAMES = ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")


def visits(rows: int = 300) -> tuple[pd.DataFrame, Any]:
    """A table with numbers, booleans, categories that are numbers, dates, many rare levels, and gaps."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": random.normal(50, 12, rows).round(),
            "member": random.random(rows) < 0.5,
            "grade": random.integers(1, 5, rows),
            "seen": pd.date_range("2019-01-01", periods=rows, freq="13h"),
            "town": [f"town {min(int(place), 90)}" for place in random.exponential(18, rows)],
        }
    )
    frame.loc[::11, "age"] = np.nan
    frame.loc[::17, "seen"] = pd.NaT
    return frame, np.where(frame["age"].fillna(50) + 10 * frame["member"] + 3 * frame["grade"] > 63, "yes", "no")


async def test_every_raw_record_is_answered_as_the_estimator_answers(tmp_path: Path) -> None:
    frame, y = visits()
    model = ChainzRuleClassifier(hidden=4, categorical=["grade"], epochs=2, random_state=0).fit(frame[:200], y[:200])
    rest = frame[200:].astype({"member": object}).copy()
    rest.loc[210:220, "town"] = "nowhere"
    rest.loc[221:230, "member"] = None
    rest.loc[231:240, "grade"] = 9
    records = json.loads(rest.assign(id=7).to_json(orient="records", date_format="iso"))
    model.publish(tmp_path, "visits", lenient=True)
    async with serve(tmp_path) as client:
        response = await client.post("/predict", json={"instances": records})
    assert response.status_code == 200, response.text
    found = [[row["probabilities"][label] for label in ("no", "yes")] for row in response.json()["predictions"]]
    np.testing.assert_allclose(found, model.predict_proba(rest), atol=1e-5)


async def test_what_people_get_wrong_with_a_shipped_model_is_told_with_the_way_out() -> None:
    record: dict[str, Any] = dict(zip(NAMES, ROW, strict=True))
    image = [[0] * 28] * 28
    async with serve(ROOT / "models") as client:

        async def asked(content: Any, path: str = "/predict") -> str:
            response = await client.post(path, json=content)
            problem = response.json()
            assert response.status_code in (404, 422), response.text
            return f"{problem['place']}: {problem['detail']}"

        async def diabetes(*rows: Any) -> str:
            return await asked({"model": "diabetes", "instances": list(rows)})

        posted = await client.post("/predict", json={"model": "diabetes", "instances": [ROW, record]})
        x = ",".join(map(str, ROW))
        got = await client.get("/sensitivity", params={"model": "diabetes", "x": x})
        assert [row["value"] for row in posted.json()["predictions"]] == [got.json()["predictions"][0]["value"]] * 2

        assert await diabetes({**record, "sex": "male"}) == (
            "instances[0].sex: is not a level the model knows; the levels are 1, 2"
        )
        renamed = {"BMI" if name == "bmi" else name: value for name, value in record.items()}
        assert "did you mean bmi?" in await diabetes(renamed)
        assert "has 'patient_id'" in await diabetes({**record, "patient_id": 1})
        assert "wrapped in a list too" in await diabetes(*ROW)
        assert "'data'; this route takes the rows as" in await asked({"model": "diabetes", "data": [ROW]})
        assert 'the list is wrapped in one: {"instances": [...]}' in await asked([record])
        assert "did you mean diabetes?" in await asked({"model": "diabets", "instances": [ROW]})
        assert "28 x 28 is one flat list" in await asked({"model": "digits", "instances": [image]})
        assert "28 x 28 is one flat list" in await asked({"model": "digits", "instances": image})
        for path in ("/invocations", "/predictions"):
            assert "POST /predict" in await asked({"instances": [ROW]}, path)
