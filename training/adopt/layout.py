"""Says where the rows of a batch lie in each tensor of a graph: exporters move them, and merge them with other axes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from chainzrule.training.errors import AdoptionError

RESHAPES = frozenset(("Reshape", "Flatten", "Squeeze", "Unsqueeze"))


@dataclass(frozen=True)
class Layout:
    """Describes a tensor whose axis `axis` runs over `before` x rows x `behind` places.

    Attributes:
        sizes: of all axes; that of `axis` is the one for a single row.
        axis: the axis in which the rows are.
        before: how many places lie outside of the rows in that axis.
        behind: how many lie within each row in it.
    """

    sizes: tuple[int, ...]
    axis: int = 0
    before: int = 1
    behind: int = 1

    @property
    def merged(self) -> tuple[int, ...]:
        """Returns the sizes into which the rows' axis falls apart, without the rows."""
        return tuple(size for size in (self.before, self.behind) if size > 1)

    @property
    def rest(self) -> tuple[int, ...]:
        """Returns the sizes without the rows, in order."""
        return (*self.sizes[: self.axis], *self.merged, *self.sizes[self.axis + 1 :])

    @property
    def is_plain(self) -> bool:
        """Returns whether the rows are the first axis, by themselves."""
        return self.axis == 0 and not self.merged

    @property
    def outside(self) -> int:
        """Returns how many places lie outside of the rows."""
        return int(np.prod(self.sizes[: self.axis])) * self.before

    def place(self, axis: int) -> int:
        """Returns where an axis is in `rest`; raises `AdoptionError` for the rows' own."""
        found = axis % len(self.sizes)
        if found == self.axis:
            raise AdoptionError("an operator across rows of the batch has no derivative here")
        return found if found < self.axis else found - 1 + len(self.merged)

    def reshaped(self, sizes: Sequence[int], axis: int) -> "Layout | None":
        """Returns the layout after a reshape to other sizes, with the rows in `axis`; None where the rows are torn."""
        ahead = int(np.prod(sizes[:axis]))
        before, left = divmod(self.outside, ahead)
        if left or not before or sizes[axis] % before:
            return None
        found = Layout(tuple(sizes), axis, before, sizes[axis] // before)
        return found if int(np.prod(found.rest)) == int(np.prod(self.rest)) else None


def layouts(
    nodes: Sequence[onnx.NodeProto], shapes: Mapping[str, tuple[tuple[int, ...], int]], start: str
) -> dict[str, Layout]:
    """Returns the layouts of the tensors in which they are known.

    Args:
        nodes: the graph's, in order.
        shapes: by tensor, the sizes for a single row, and the axis whose size follows the number of rows.
        start: the tensor of the features.
    """
    found = {start: Layout(*shapes[start])}
    for node in nodes:
        known = [found[name] for name in node.input if name in found]
        for name in node.output:
            if name not in shapes:
                continue
            sizes, axis = shapes[name]
            layout: Layout | None
            if not known:  # a constant that was repeated for every row
                layout = Layout(sizes, axis) if sizes[axis] == 1 else None
            elif node.op_type in RESHAPES:
                layout = known[0].reshaped(sizes, axis)
            else:
                alike = [one for one in known if one.before * one.behind == sizes[axis]]
                layout = Layout(sizes, axis, alike[0].before, alike[0].behind) if alike else None
            if layout is not None:
                found[name] = layout
    return found
