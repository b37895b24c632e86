"""Serves the graph by MLServer: a custom runtime in its in-process mode (`parallel_workers` 0), asked in V2 JSON."""

import asyncio
import os

import onnxruntime as ort
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class OnnxModel(MLModel):
    async def load(self) -> bool:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(os.environ["PEER_MODEL"], options, providers=["CPUExecutionProvider"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        features = NumpyCodec.decode_input(payload.inputs[0])
        (probabilities,) = self.session.run(["probabilities"], {"features": features})
        return InferenceResponse(
            model_name=self.name, outputs=[NumpyCodec.encode_output("probabilities", probabilities)]
        )


async def main() -> None:
    port = int(os.environ["PEER_PORT"])
    settings = Settings(
        debug=False,
        host="127.0.0.1",
        http_port=port,
        grpc_port=port + 1,
        metrics_endpoint=None,
        parallel_workers=0,
        load_models_at_startup=False,
        use_structured_logging=False,
    )
    await MLServer(settings).start([ModelSettings(name="peer", implementation=OnnxModel)])


if __name__ == "__main__":
    asyncio.run(main())
