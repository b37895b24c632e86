"""The README's examples are run as they stand, against a real server; its links lead somewhere."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.answers import assert_same

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
EXAMPLES = {
    name: (command, answer)
    for name, command, answer in re.findall(
        r"<!-- example: (\w+) -->\n```console\n\$ (.+?)\n```\n```json\n(.+?)\n```", README, flags=re.DOTALL
    )
}


@pytest.mark.parametrize("name", ["predict", "sensitivity"])
def test_the_examples_answer_as_shown(name: str, shipped_server: str) -> None:
    command, shown = EXAMPLES[name]
    command = command.replace("http://127.0.0.1:8000", shipped_server)
    answer = subprocess.run(shlex.split(command), capture_output=True, check=True, timeout=30).stdout
    assert_same(json.loads(answer), json.loads(shown), rel=2e-3)


@pytest.mark.parametrize("document", [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")], ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text)
    broken = [link for link in links if "://" not in link and not (document.parent / link).exists()]
    assert not broken


def test_the_models_table_is_the_cards(shipped_server: str) -> None:
    for folder in sorted((ROOT / "models").iterdir()):
        card = json.loads((folder / "1" / "card.json").read_text())
        row = next(line for line in README.splitlines() if line.startswith(f"| `{card['name']}`"))
        assert f"{card['provenance']['parameters']:,}" in row
