"""The lists of what the images consist of: valid CycloneDX that names every file, made by what CI runs."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from chainzrule import __version__
from tests.deploy.test_requirements import listed
from tests.processes import ROOT

TOOLS = ROOT / ".venv-supply" / "bin"

pytestmark = pytest.mark.deploy


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tools = Path(os.environ.get("TOOLS", TOOLS))
    if not (tools / "cyclonedx-py").exists():
        pytest.skip("`make sbom` installs cyclonedx-bom")
    made = tmp_path_factory.mktemp("sbom")
    environment = {**os.environ, "IMAGES_ONLY": "yes", "TOOLS": str(tools)}
    subprocess.run([ROOT / ".ci" / "sbom", made], env=environment, check=True, capture_output=True, timeout=120)
    return made


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_an_images_list_names_every_package_and_every_file(folder: Path, device: str) -> None:
    found = json.loads((folder / f"image-{device}.cdx.json").read_text())
    assert (found["bomFormat"], found["metadata"]["component"]["name"]) == ("CycloneDX", "chainzrule")
    assert found["metadata"]["component"]["version"] == __version__
    for component in found["components"]:
        assert component["purl"] == f"pkg:pypi/{component['name']}@{component['version']}"
    hashes = {
        one["name"]: (
            one["version"],
            {each["content"] for place in one["externalReferences"] for each in place["hashes"]},
        )
        for one in found["components"]
    }
    assert hashes == {name: (version, set(each)) for name, (version, each) in listed(device).items()}
    assert str(ROOT) not in (folder / f"image-{device}.cdx.json").read_text()
