"""What serves the tests that span modules: the service's own event loop and applications."""

from tests.service.conftest import anyio_backend, client, serving

__all__ = ["anyio_backend", "client", "serving"]
