import torch
from torch.testing import assert_close

from raylt.contrast import nt_xent, unit
from raylt.methods.simclr import Config, SimCLR
from raylt.nn.encoder import Encoder


def built(**values):
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 12))
    encoder = Encoder(network, width=12, mean=(0.5,), std=(0.5,))
    return SimCLR(Config(**values), encoder, torch.tensor([5, 3]))


def test_both_views_pass_as_one_batch_through_encoder_and_head():
    method, views = built(temperature=0.3), torch.rand(2, 6, 1, 4, 4)
    rows = method.head(method.encoder(views.flatten(0, 1)))
    first, second = unit(rows).chunk(2)
    (loss,) = method(list(views), torch.zeros(6).long()).values()
    assert_close(loss, nt_xent(first, second, temperature=0.3))


def test_labels_are_not_looked_at():
    method, views = built().eval(), list(torch.rand(2, 6, 1, 4, 4))
    losses = [method(views, torch.full((6,), k))["contrast"] for k in (0, 1)]
    assert torch.equal(*losses)


def test_the_head_has_as_many_layers_as_it_is_told():
    layers = [
        sum(isinstance(layer, torch.nn.Linear) for layer in built(head_depth=depth).head)
        for depth in (2, 3)
    ]
    assert layers == [2, 3]
    assert SimCLR.views(Config()) == ("sim", "sim")
