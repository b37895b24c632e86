import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from chainzrule.training.nn.jacobian import forward_mode, hidden_weights, input_jacobian, output_side
from chainzrule.training.nn.network import ChainzRuleNetwork, ReluNetwork

shapes = st.tuples(
    st.integers(1, 9),  # inputs
    st.lists(st.integers(1, 8), min_size=1, max_size=5),  # hidden widths
    st.integers(1, 5),  # scores
    st.integers(1, 5),  # degree
    st.integers(0, 10**6),  # seed
)


def build(
    inputs: int, hidden: list[int], scores: int, degree: int, seed: int
) -> tuple[ChainzRuleNetwork, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    network = ChainzRuleNetwork(inputs, hidden, scores, degree, generator).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return network, torch.randn(3, inputs, generator=generator, dtype=torch.float64)


@given(shape=shapes)
@settings(deadline=None, max_examples=60)
def test_closed_form_equals_autograd_and_central_differences(shape: tuple[int, list[int], int, int, int]) -> None:
    network, x = build(*shape)
    closed = input_jacobian(network, x).detach()
    scale = 1 + closed.abs().amax()

    autograd = torch.func.vmap(torch.func.jacrev(lambda row: network(row[None])[0]))(x)
    assert (closed - autograd).abs().amax() <= 1e-6 * scale
    forward = (
        network.output.weight
        @ forward_mode(
            torch.eye(x.shape[1], dtype=torch.float64), hidden_weights(network), network.propagate(x).slopes
        )[-1]
    )
    assert (closed - forward).abs().amax() <= 1e-6 * scale

    # Richardson's extrapolation of two central differences: its error falls with the step's fourth power.
    def difference(column: int, h: float) -> torch.Tensor:
        step = torch.zeros_like(x)
        step[:, column] = h
        return (network(x + step) - network(x - step)) / (2 * h)

    with torch.no_grad():
        for column in range(x.shape[1]):
            h = 1e-3
            central = (4 * difference(column, h / 2) - difference(column, h)) / 3
            assert (closed[:, :, column] - central).abs().amax() <= 1e-6 * scale


def test_forward_mode_gives_every_layers_derivative() -> None:
    network, x = build(4, [5, 3, 6], 2, 3, 7)
    found = forward_mode(torch.eye(4, dtype=torch.float64), hidden_weights(network), network.propagate(x).slopes)
    assert [tuple(derivative.shape) for derivative in found] == [(3, 5, 4), (3, 3, 4), (3, 6, 4)]

    def first_two(row: torch.Tensor) -> torch.Tensor:
        h = row[None]
        for layer in list(network.layers)[:2]:
            h, _ = layer(h)
        return h[0]

    torch.testing.assert_close(found[1].detach(), torch.func.vmap(torch.func.jacrev(first_two))(x))


def test_a_relu_networks_jacobian_too() -> None:
    generator = torch.Generator().manual_seed(3)
    network = ReluNetwork(6, [9, 7], 3, generator).double()
    x = torch.randn(5, 6, generator=generator, dtype=torch.float64)
    autograd = torch.func.vmap(torch.func.jacrev(lambda row: network(row[None])[0]))(x)
    torch.testing.assert_close(input_jacobian(network, x).detach(), autograd)


def test_one_hidden_layer_needs_no_product() -> None:
    network, x = build(3, [4], 2, 2, 0)
    slopes = network.propagate(x).slopes
    expected = network.output.weight * slopes[0][:, None, :]
    torch.testing.assert_close(output_side(network.output.weight, hidden_weights(network), slopes), expected)
