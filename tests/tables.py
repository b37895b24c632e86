"""Tables that tests train on."""

import numpy as np
import pandas as pd


def patients() -> pd.DataFrame:
    """A small table with a category, gaps and a column of two values."""
    random = np.random.default_rng(3)
    rows = 240
    age, dose = random.normal(50, 12, rows), random.gamma(2.0, 3.0, rows)
    colour = random.choice(["blue", "green", "red"], rows)
    outcome = np.where(
        0.08 * (age - 50) + 0.3 * (colour == "red") + 0.2 * (dose - 6) + random.normal(0, 0.5, rows) > 0, "sick", "well"
    )
    frame = pd.DataFrame(
        {"age": age.round(1), "dose": dose.round(2), "colour": colour, "smoker": random.integers(0, 2, rows)}
    )
    frame.loc[::17, "dose"] = np.nan
    frame["weight"] = (60 + 0.4 * age + dose + random.normal(0, 2, rows)).round(1)
    return frame.assign(outcome=outcome)
