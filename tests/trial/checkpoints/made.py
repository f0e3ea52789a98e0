"""A small model after two steps, and its checkpoint."""

import torch
from torch import nn

from raylt.trial.checkpoints import checkpoint


def trained(seed=0):
    torch.manual_seed(seed)
    layers = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 36, 3)
    model = nn.Sequential(*layers)
    model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(2):
        model(torch.randn(5, 1, 8, 8)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return model, optimizer


def save(folder, epoch, digest="abc", seed=0, best=False):
    model, optimizer = trained(seed)
    history = [{"epoch": float(e), "val/accuracy": 0.1 * e} for e in range(1, epoch + 1)]
    return kept(folder, model, optimizer, history, epoch=epoch, digest=digest, best=best)


def kept(folder, model, optimizer, history, *, epoch, digest, best):
    """A checkpoint with nothing to do while it is written."""
    with checkpoint.writing(
        folder, epoch=epoch, digest=digest, method=model, optimizer=optimizer, history=history
    ) as keep:
        return keep(history, best=best)
