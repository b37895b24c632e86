"""Hold Kubernetes manifests against the types of what reads them; prints every kind that passed, in order.

Kubernetes' own kinds go through its JSON schemas, strictly. KServe's and the Prometheus operator's are read into the
types that those projects publish: what these do not have is no field of theirs.
"""

import re
import sys
import types
from importlib import import_module
from importlib.metadata import distribution
from typing import Any

import kubernetes.client
import kubernetes_validate
import yaml
from cloudcoil.models.prometheus_operator import v1 as operator

VERSIONS = ("1.27", "1.37")  # the oldest that the chart admits, and the newest


def main() -> int:
    """Check the manifests on standard input."""
    kserve = _kserve_types()
    for document in filter(None, yaml.safe_load_all(sys.stdin)):
        group, kind = document["apiVersion"].partition("/")[0], document["kind"]
        if group == "serving.kserve.io":
            version = document["apiVersion"].partition("/")[2].capitalize()
            lost = _kserve_lost(document, version + kind, kserve, kind)
        elif group == "monitoring.coreos.com":
            read = getattr(operator, kind).model_validate(document)
            lost = _lost(document, read.model_dump(mode="json", by_alias=True, exclude_unset=True), kind)
        else:
            for version in VERSIONS:
                kubernetes_validate.validate(document, version, strict=True)
            lost = None
        if lost:
            print(f"no field of it: {lost}", file=sys.stderr)
            return 1
        print(kind)
    return 0


def _kserve_types() -> types.ModuleType:
    """KServe's types alone: the package itself would import what a model server of KServe's needs."""
    package = types.ModuleType("kserve")
    package.__path__ = [str(distribution("kserve").locate_file("kserve"))]
    sys.modules["kserve"] = package
    return import_module("kserve.models")


def _kserve_lost(document: Any, name: str, kserve: types.ModuleType, place: str) -> str | None:
    """The first place of `document` that KServe's type, or Kubernetes' within it, does not have."""
    if element := re.fullmatch(r"(?:list\[|dict\(str, )(.*)[\])]", name):
        pairs = document.items() if isinstance(document, dict) else enumerate(document)
        found = (_kserve_lost(value, element[1], kserve, f"{place}[{key}]") for key, value in pairs)
        return next(filter(None, found), None)
    if type_ := getattr(kserve, name, None):
        fields = {key: field for field, key in type_.attribute_map.items()}
        for key, value in document.items():
            if key not in fields:
                return f"{place}.{key}"
            if lost := _kserve_lost(value, type_.openapi_types[fields[key]], kserve, f"{place}.{key}"):
                return lost
        return None
    if type_ := getattr(kubernetes.client, name, None):
        return _lost(
            document, kubernetes.client.ApiClient().sanitize_for_serialization(type_.from_dict(document)), place
        )
    return None


def _lost(given: Any, again: Any, place: str) -> str | None:
    """The first place of `given` that `again` does not have."""
    if isinstance(given, dict):
        for key, value in given.items():
            if not isinstance(again, dict) or key not in again:
                return f"{place}.{key}" if value not in ({}, [], None) else None
            if lost := _lost(value, again[key], f"{place}.{key}"):
                return lost
    if isinstance(given, list):
        for number, value in enumerate(given):
            if not isinstance(again, list) or number >= len(again):
                return f"{place}[{number}]"
            if lost := _lost(value, again[number], f"{place}[{number}]"):
                return lost
    return None


if __name__ == "__main__":
    sys.exit(main())
