"""FFT_UNet and XRD_Transformer: sizes, masks, options."""

from __future__ import annotations

import pytest
import torch

from crystals import complaint
from xrdml.models import build_model
from xrdml.models.fft_unet import FFTUNet
from xrdml.models.layout import Layout
from xrdml.models.unet import UNet
from xrdml.models.xrd_transformer import XRDTransformer

torch.set_num_threads(1)
LOWER = (-4, 0, 0)
SHAPE = (7, 4, 5)


def count(network) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("network", "thesis"),
    [
        (UNet(1, 64), 5.64e6),
        (FFTUNet(1, 64), 7.94e6),
        (FFTUNet(1, 64, form="full_sphere"), 7.94e6),
        (XRDTransformer(1, 128), 0.995e6),
        (XRDTransformer(1, 128, embedding="mlp"), 0.995e6),
    ],
    ids=["unet", "fft_unet", "full_sphere", "xrd_transformer", "mlp"],
)
def test_parameters_of_the_thesis(network, thesis):
    assert count(network) == pytest.approx(thesis, rel=0.03)


def layout(sphere=None, lower=LOWER, shape=SHAPE, n=2):
    return Layout(lower, torch.ones(n, *shape, dtype=torch.bool) if sphere is None else sphere)


@pytest.mark.parametrize("form", ["thesis", "full_sphere"])
@pytest.mark.parametrize(
    ("shape", "lower"), [((9, 4, 6), (-5, 0, 0)), ((1, 1, 1), (0, 0, 0)), ((5, 7, 2), (-2, 0, 0))]
)
def test_fft_unet_takes_any_grid(form, shape, lower):
    x = torch.rand(2, 2, *shape)
    assert FFTUNet(2, 4, form).eval()(x, layout(lower=lower, shape=shape)).shape == (2, *shape)


def test_fourier_units_see_the_whole_tensor():
    """A change at one end reaches the other, further than the convolutions of this U-Net do."""
    shape = (64, 4, 4)
    x = torch.zeros(1, 1, *shape)
    moved = x.clone()
    moved[0, 0, 0, 0, 0] = 1
    where = layout(lower=(0, 0, 0), shape=shape, n=1)
    for network, reaches in ((FFTUNet(1, 4), True), (UNet(1, 4), False)):
        with torch.no_grad():
            change = (network.eval()(moved, where) - network(x, where)).abs()[0, -1].max()
        assert (float(change) > 0) == reaches


def ball():
    """Another sphere for each of two crystals."""
    inside = torch.zeros(2, *SHAPE, dtype=torch.bool)
    inside[0, 2:5, :3, :3] = True
    inside[1, 1:6, :2, :4] = True
    return inside


@pytest.mark.parametrize("embedding", ["onehot", "mlp"])
def test_tokens_outside_the_sphere_are_neither_read_nor_written(embedding):
    torch.manual_seed(0)
    network = XRDTransformer(2, 12, blocks=2, embedding=embedding, tokens="sphere").eval()
    inside, x = ball(), torch.rand(2, 2, *SHAPE)
    out = network(x, layout(inside))
    assert (out[~inside] == 0).all()
    assert (out[inside] != 0).all()
    noisy = torch.where(inside[:, None], x, 9.0)
    torch.testing.assert_close(network(noisy, layout(inside)), out)
    # A crystal does not depend on who shares its batch: padding is not attended to.
    torch.testing.assert_close(network(x[:1], layout(inside[:1])), out[:1])


def test_packed_tokens_equal_all_tokens_where_the_sphere_is_the_tensor():
    torch.manual_seed(0)
    packed = XRDTransformer(1, 12, blocks=2, tokens="sphere").eval()
    whole = XRDTransformer(1, 12, blocks=2).eval()
    whole.load_state_dict(packed.state_dict())
    x = torch.rand(2, 1, *SHAPE)
    torch.testing.assert_close(packed(x, layout()), whole(x, layout()))


def test_tokens_know_their_indices():
    """The same tensor about other Miller indices is another crystal; outside the table is an error."""
    torch.manual_seed(0)
    network, x = XRDTransformer(1, 12, blocks=1).eval(), torch.rand(2, 1, *SHAPE)
    assert not torch.allclose(network(x, layout()), network(x, layout(lower=(-3, 0, 0))))
    assert "lie outside model.grid=-13:12,0:17,0:22" in complaint(network, x, layout(lower=(9, 0, 0)))
    free = XRDTransformer(1, 12, blocks=1, embedding="mlp").eval()
    assert free(x, layout(lower=(9, 0, 0))).shape == (2, *SHAPE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "fft_unet", "form": "sphere"}, "form must be one of thesis, full_sphere"),
        ({"name": "xrd_transformer", "width": 30}, "width must be a multiple of heads"),
        ({"name": "xrd_transformer", "embedding": "rope"}, "embedding must be one of onehot, mlp"),
        ({"name": "xrd_transformer", "tokens": "few"}, "tokens must be one of all, sphere"),
        ({"name": "unet", "cell": "yes"}, "model.cell=yes must be true or false"),
    ],
)
def test_bad_options(options, message):
    assert message in complaint(build_model, {"channels": ["f"], **options})


def test_the_cell_widens_the_input():
    plain, wide = (
        build_model({"name": "unet", "channels": ["f"], "width": 4, "cell": c}) for c in (False, True)
    )
    assert wide.down1[0].weight.shape[1] == plain.down1[0].weight.shape[1] + 7
