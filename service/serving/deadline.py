"""Says how much time a request has left."""

import asyncio


def seconds_until(deadline: float) -> float:
    """Returns how many seconds are left until a deadline by the running event loop's clock."""
    return deadline - asyncio.get_running_loop().time()
