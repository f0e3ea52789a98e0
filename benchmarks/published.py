"""The published programs' form of the work, written anew from the description of what they do.

SDCLR (Jiang et al., ICML 2021): views are made one image at a time by PIL transforms in loader
processes that start anew in every epoch; a step is a forward pass of the pruned branch without a
gradient, then forward and backward of the dense branch, then of the pruned one: three forwards
and two backwards in float32 and NCHW; the loss builds its mask of negatives by a loop and selects
twice; all weights are copied to the host and sorted in each epoch; linear evaluation passes all
images through the encoder again in each of its 30 epochs. BCL (Zhu et al., CVPR 2022): one
forward of three views, losses read back in every step, weights of the loss counted by a loop over
the elements of the label tensor.

The networks and heads are raylt's, so that a ratio is one of the training programs and not of the
architectures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from raylt.methods.bcl import BCL
from raylt.methods.sdclr import SDCLR

Transform = Callable[[Image.Image], Tensor]


def sim(size: int, *, crop: float, flip: float, jitter: float, grey: float) -> Transform:
    """SimCLR's view of a colour image, or of a grey one where hue means nothing."""
    colours = transforms.ColorJitter(0.4 * jitter, 0.4 * jitter, 0.4 * jitter, 0.1 * jitter)
    return transforms.Compose(
        [
            transforms.RandomResizedCrop(
                size, (crop, 1.0), interpolation=InterpolationMode.BICUBIC
            ),
            transforms.RandomHorizontalFlip(flip),
            transforms.RandomApply([colours], 0.8),
            transforms.RandomGrayscale(grey),
            transforms.ToTensor(),
        ]
    )


class Views(Dataset[tuple[list[Tensor], int]]):
    """Several looks at each image, one image at a time."""

    def __init__(
        self, pixels: NDArray[np.uint8], labels: NDArray[np.int64], looks: list[Transform]
    ) -> None:
        self._images = [
            Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))
            for image in pixels
        ]
        self._labels, self._looks = labels.tolist(), looks

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[list[Tensor], int]:
        return [look(self._images[index]) for look in self._looks], self._labels[index]


def loader(views: Views, *, batch: int, workers: int) -> DataLoader[Any]:
    """Batches in random order; its processes live for one epoch."""
    return DataLoader(views, batch, shuffle=True, num_workers=workers)


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """The loss with a mask made by a loop on the host, and selections in place of a diagonal."""
    n = len(first)
    mask = torch.ones(2 * n, 2 * n, dtype=torch.bool)
    for i in range(n):
        mask[i, i] = mask[i + n, i + n] = mask[i, i + n] = mask[i + n, i] = False
    rows = functional.normalize(torch.cat([first, second]), dim=1)
    similarity = rows @ rows.T / temperature
    negatives = similarity.masked_select(mask.to(rows.device)).view(2 * n, -1)
    positives = torch.cat([similarity.diag(n), similarity.diag(-n)])[:, None]
    logits = torch.cat([positives, negatives], 1)
    truth = torch.zeros(2 * n, dtype=torch.int64, device=rows.device)
    return functional.cross_entropy(logits, truth)


def sdclr_step(
    method: SDCLR, optimizer: torch.optim.Optimizer, views: list[Tensor], temperature: float
) -> float:
    """One step in three forwards and two backwards; the loss is read back."""
    with torch.no_grad():
        pruned = method.competitor(views[1])
    first = method.head(method.encoder(views[0]))
    loss = nt_xent(first, pruned, temperature)
    optimizer.zero_grad()
    loss.backward()
    second = method.competitor(views[1])
    nt_xent(first.detach(), second, temperature).backward()
    optimizer.step()
    return loss.item()


def renew_masks(method: SDCLR, prune: float) -> None:
    """Threshold of all weights by a full sort on the host."""
    weights = method.competitor.weights()
    everything = np.concatenate([w.detach().abs().cpu().numpy().ravel() for w in weights])
    threshold = np.sort(everything)[int(prune * len(everything))]
    method.competitor.hide(tuple(w.detach().abs() >= threshold for w in weights))


def bcl_contrast(
    features: Tensor, labels: Tensor, prototypes: Tensor, *, temperature: float
) -> Tensor:
    """The balanced contrast of features (n, 2, d), with its counts made by a loop."""
    classes = len(prototypes)
    rows = torch.cat([features[:, 0], features[:, 1], prototypes])
    keys = torch.cat([labels, labels, torch.arange(classes, device=labels.device)])
    counts: dict[int, int] = {}
    for label in keys:
        counts[int(label)] = counts.get(int(label), 0) + 1
    weight = torch.tensor([float(counts[int(label)]) for label in keys], device=rows.device)
    anchors = len(rows) - classes
    similarity = rows[:anchors] @ rows.T / temperature
    similarity = similarity - similarity.max(1, keepdim=True).values.detach()
    same = (keys[:anchors, None] == keys[None]).float()
    itself = torch.eye(anchors, len(rows), device=rows.device)
    others = 1 - itself
    mass = (weight[None] - same).clamp(min=1) * others + itself
    denominator = (similarity.exp() * others / mass).sum(1, keepdim=True)
    log_prob = similarity - denominator.log()
    same = same * others
    return -((same * log_prob).sum(1) / same.sum(1)).mean()


def bcl_step(
    method: BCL, optimizer: torch.optim.Optimizer, views: list[Tensor], labels: Tensor
) -> float:
    """One step: a forward of all views; both losses and the sum are read back."""
    n, config = len(labels), method.config
    assert method.classification_head is not None
    assert method.contrast_head is not None
    assert method.prototype_head is not None
    features = method.encoder(torch.cat(views))
    logits = method.classification_head(features[:n])
    _, first, second = method.contrast_head(features).chunk(3)
    projected = functional.normalize(torch.stack([first, second], 1), dim=2)
    prototypes = functional.normalize(method.prototype_head(method.classification_head.weight))
    prior = method.class_counts / method.class_counts.sum()
    target = torch.eye(len(prior))[labels.cpu()].to(logits.device)
    adjusted = functional.log_softmax(logits + config.tau * prior.log(), 1)
    classified = -(target * adjusted).sum(1).mean()
    contrasted = bcl_contrast(projected, labels, prototypes, temperature=config.temperature)
    loss = config.classification_weight * classified + config.contrastive_weight * contrasted
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return classified.item() + contrasted.item() + loss.item()


def train_sdclr(
    method: SDCLR,
    batches: DataLoader[Any],
    device: torch.device,
    *,
    epochs: int,
    lr: float,
    temperature: float,
    prune: float,
) -> Iterator[float]:
    """Train and yield the mean loss of each epoch."""
    optimizer = torch.optim.SGD(method.parameters(), lr=lr, momentum=0.9, weight_decay=1e-4)
    for _ in range(epochs):
        method.train()
        renew_masks(method, prune)
        losses = [
            sdclr_step(method, optimizer, [view.to(device) for view in views], temperature)
            for views, _ in batches
        ]
        yield sum(losses) / len(losses)


def linear_evaluation(
    encode: Callable[[Tensor], Tensor],
    width: int,
    classes: int,
    *,
    train: Dataset[Any],
    test: Dataset[Any],
    device: torch.device,
    workers: int,
) -> float:
    """Accuracy of a linear classifier: 30 epochs in which all images pass the encoder again.

    SGD at a learning rate of 30 that falls after 10 and 20 epochs, batches of 128; the training
    images and the test images are classified after each epoch, as the program does.
    """
    head = nn.Linear(width, classes).to(device)
    optimizer = torch.optim.SGD(head.parameters(), lr=30.0, momentum=0.9)
    accuracy = 0.0
    for epoch in range(30):
        for group in optimizer.param_groups:
            group["lr"] = 30.0 * 0.1 ** (epoch // 10)
        for views, labels in DataLoader(train, 128, shuffle=True, num_workers=workers):
            with torch.no_grad():
                features = encode(views[0].to(device))
            loss = functional.cross_entropy(head(features), labels.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        _accuracy(encode, head, train, device, workers)
        accuracy = _accuracy(encode, head, test, device, workers)
    return accuracy


@torch.no_grad()
def _accuracy(
    encode: Callable[[Tensor], Tensor],
    head: nn.Module,
    images: Dataset[Any],
    device: torch.device,
    workers: int,
) -> float:
    right = total = 0
    for views, labels in DataLoader(images, 128, num_workers=workers):
        result = head(encode(views[0].to(device))).argmax(1).cpu()
        right, total = right + int((result == labels).sum()), total + len(labels)
    return right / total
