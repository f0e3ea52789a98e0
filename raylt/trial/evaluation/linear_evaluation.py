"""SDCLR's linear evaluation as published: images pass the frozen encoder anew in every epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from raylt import collectives
from raylt.data.augment import CALM
from raylt.data.batches import Batches
from raylt.data.frames import Kernel
from raylt.data.images import Images
from raylt.nn.probe import Descent, Head, sgd_rates
from raylt.recipe import Recipe
from raylt.schema import InputError

_SMALL_IMAGE = 64
"""Height in pixels up to which the protocol for CIFAR applies, beyond it that for ImageNet-100."""
_CROP = 0.08
"""Smallest area of a random resized crop: torchvision's default, which the program keeps."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """What the published program does for one kind of data (Jiang et al., ICML 2021)."""

    view: str
    """How training images are disturbed; a name in `raylt.data.augment.VIEWS`."""
    resample: Kernel
    """How a crop is brought to its size."""
    batch_size: int
    rates: tuple[float, ...]
    """Learning rate of each epoch."""
    every: int
    """Epochs between two looks at the validation images."""


def protocol(*, size: int, few: bool, early: bool) -> Protocol:
    """The protocol for images of `size` pixels, with many labels or few."""
    small = size <= _SMALL_IMAGE
    return Protocol(
        view="weak" if small else "crop",
        # torchvision's default, unlike in the program's pre-training; a shift resizes nothing but
        # pictures that are shown larger than they are, like those that the probe is scored on.
        resample="bicubic" if small else "bilinear",
        batch_size=128 if small else 512,
        rates=sgd_rates(few=few, early=early),
        every={(True, False): 1, (True, True): 5, (False, False): 2, (False, True): 10}[
            small, few
        ],
    )


@torch.no_grad()
def fitted(
    encode: Callable[[Tensor], Tensor],
    labelled: Images,
    seen: Float[Tensor, "image feature"],
    truth: Int[Tensor, " image"],
    recipe: Recipe,
    *,
    classes: int,
    device: torch.device,
) -> Head:
    """The linear classifier of the epoch that `evaluation.selection` chooses.

    With several workers each encodes its share of every batch, and all of them fit the same
    classifier on the whole.

    Args:
        encode: Images in [0, 1] -> features; frozen.
        labelled: The images whose labels the classifier sees.
        seen: Features of the validation images, undisturbed.
        recipe: Its `evaluation`, `augment.flip`, `size` and `seed` count.

    Raises:
        InputError: an epoch is to be chosen, but there are no validation images.
    """
    evaluation = recipe.evaluation
    if not len(truth) and evaluation.selection != "last":
        raise InputError(
            "there must be validation images to choose the epoch of a probe by, but there are "
            "none: data.validation is 0; raise it, or set evaluation.selection: last"
        )
    few = evaluation.labels == "few-shot"
    plan = protocol(size=recipe.size, few=few, early=evaluation.early_falls)
    batches = _batches(labelled, plan, recipe, device)
    layer = Descent(
        seen.shape[1], classes, torch.Generator().manual_seed(recipe.seed), device, decay=0.0
    )
    best, chosen = -1.0, layer.head()
    for epoch, rate in enumerate(plan.rates):
        for batch in batches.epoch(epoch):
            features = collectives.gather(encode(batch.views[0]).float())
            with torch.enable_grad():
                layer.step(features, collectives.gather(batch.labels), rate)
        last = epoch + 1 == len(plan.rates)
        if evaluation.selection == "last" or ((epoch + 1) % plan.every and not last):
            continue
        head = layer.head()
        share = hits(head(seen), truth, among=5 if evaluation.selection == "top-5" else 1)
        # The first of equals stays, as in the program.
        if share > best:
            best, chosen = share, head
    return layer.head() if evaluation.selection == "last" else chosen


def _batches(images: Images, plan: Protocol, recipe: Recipe, device: torch.device) -> Batches:
    world = collectives.world()
    # Digits and letters are not mirrored here either.
    looks = {"crop": _CROP, "resample": plan.resample, "flip": recipe.augment.flip}
    return Batches(
        images,
        views=(plan.view,),
        size=recipe.size,
        params=CALM.model_copy(update=looks),
        batch_size=min(plan.batch_size, len(images)) // world * world,
        drop_last=False,
        seed=recipe.seed,
        device=device,
        rank=collectives.rank(),
        world=world,
        channels_last=True,
    )


def hits(
    logits: Float[Tensor, "image class"], truth: Int[Tensor, " image"], *, among: int
) -> float:
    """Share of the images whose class is among the likeliest so many."""
    likeliest = logits.topk(min(among, logits.shape[1]), dim=1).indices
    return (likeliest == truth[:, None]).any(1).float().mean().item()
