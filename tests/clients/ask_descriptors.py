"""Prints the fields of every message and the methods of stock tritonclient[grpc]; run in that client's environment."""

import json
from typing import Any

from google.protobuf.descriptor import Descriptor
from tritonclient.grpc import model_config_pb2, service_pb2


def fields(message: Descriptor) -> dict[str, list[Any]]:
    found = {}
    for field in message.fields:
        kind = field.message_type or field.enum_type
        found[field.name] = [field.number, field.type, field.is_repeated, kind.full_name if kind else None]
    return found


def main() -> None:
    messages, waiting = {}, []
    for file in (service_pb2.DESCRIPTOR, model_config_pb2.DESCRIPTOR):
        waiting += file.message_types_by_name.values()
    while waiting:
        message = waiting.pop()
        messages[message.full_name] = fields(message)
        waiting += message.nested_types
    service = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]
    methods = {
        method.name: [
            method.input_type.full_name,
            method.output_type.full_name,
            method.client_streaming,
            method.server_streaming,
        ]
        for method in service.methods
    }
    types = {value.name: value.number for value in model_config_pb2.DESCRIPTOR.enum_types_by_name["DataType"].values}
    print(json.dumps({"messages": messages, "methods": methods, "types": types}))


if __name__ == "__main__":
    main()
