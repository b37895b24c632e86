"""The walks of docs/adopt.md are walked: script, adoption, service."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT
from tests.service.conftest import serve

WALKS = {
    name: (script, command)
    for name, script, command in re.findall(
        r"<!-- walk: (\w+) -->\n```python\n(.+?)```\n```console\n\$ (.+?)\n```",
        (ROOT / "docs" / "adopt.md").read_text(),
        flags=re.DOTALL,
    )
}
METHODS = {"sklearn": "analytic", "trees": "monte_carlo", "torch": "analytic"}


@pytest.mark.anyio
@pytest.mark.parametrize("name", METHODS)
async def test_a_walk_ends_at_a_served_model(name: str, tmp_path: Path) -> None:
    script, command = WALKS[name]
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, timeout=300, capture_output=True)
    arguments = [sys.executable, "-m", *shlex.split(command)]
    # In the walk's own folder, with the package that is tested.
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    done = subprocess.run(arguments, cwd=tmp_path, env=environment, timeout=300, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"method {METHODS[name]}" in done.stdout
    model = shlex.split(command)[shlex.split(command).index("--name") + 1]
    async with serve(tmp_path / "served", measured_share=1) as client:
        described = (await client.get(f"/models/{model}")).json()["card"]
        row = [feature["mean"] for feature in described["features"]]
        answer = await client.post("/predict", json={"instances": [row]})
        metrics = (await client.get("/metrics")).text
    assert answer.json()["predictions"][0]["stability"]["verdict"] in ("stable", "elevated", "unstable")
    assert f'chainzrule_predictions_total{{model="{model}"' in metrics
