"""A trained model that stands alone: images in, logits and features out, as one torch program."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from raylt.data import frames
from raylt.data.images import Splits
from raylt.data.reading.paths import shown
from raylt.methods._base import Classifier, Method
from raylt.recipe import Recipe
from raylt.schema import EnvironmentError
from raylt.trial import parts
from raylt.trial.checkpoints import checkpoint
from raylt.trial.evaluation import score

CLASSES = "classes.json"
_FREE = {0: "batch", 2: "height", 3: "width"}


class Portable(nn.Module):
    """A trained encoder and the classifier that its scores are by.

    Args:
        classify: Images -> logits.
        splits: Where the images came from: how evaluation cuts them, and what the classes are
            called.
    """

    def __init__(self, method: Method, classify: Classifier, *, size: int, splits: Splits) -> None:
        super().__init__()
        self.method = method
        self.size = size
        self.names = splits.names
        self.channels, _, self._kept = splits.shape
        self._centre = splits.centre
        self._classify = classify

    def forward(
        self, images: Float[Tensor, "image channel height width"]
    ) -> tuple[Float[Tensor, "image class"], Float[Tensor, "image feature"]]:
        """Logits and features of images of any size with pixels in [0, 1].

        They are cut and resized as evaluation does it: a central square of the original to the
        size at which the dataset keeps images, and that to the size that the encoder sees.
        """
        ones = images.new_ones(images.shape[0])
        height, width = ones * images.shape[2], ones * images.shape[3]
        side = self._centre * torch.minimum(height, width)
        square = frames.Boxes(
            (height - side) / 2, (width - side) / 2, side, side, ones < 0, padded=False
        )
        shown = frames.resample(images * 255, square, self._kept, kernel="bilinear")
        whole = frames.whole(ones * self._kept, ones * self._kept)
        views = frames.resample(shown * 255, whole, self.size, kernel="bicubic")
        return self._classify(views), self.method.encode(views)

    def example(self) -> Float[Tensor, "image channel height width"]:
        """Two black images, to trace the program with."""
        return torch.zeros(2, self.channels, self.size + 1, self.size)

    def program(self) -> torch.export.ExportedProgram:
        """The computation as a graph with its weights, for any number and size of images."""
        free = {axis: torch.export.Dim(name) for axis, name in _FREE.items()}
        with torch.no_grad():
            return torch.export.export(
                self, (self.example(),), dynamic_shapes=(free,), strict=False
            )


def load(
    recipe: Recipe,
    known: Splits | None,
    images: Callable[[], Splits],
    *,
    digest: str,
    folder: Path,
    best: bool,
) -> tuple[Portable, dict[str, Tensor]]:
    """The model of a finished run, on the CPU, and the method's weights as the run left them.

    A method without a classifier gets the probe that its scores are by, fitted again on the same
    labels with the same seed.

    Args:
        known: What is known of its images without them; None where that is too little.
        images: Loads them, for a probe or where too little is known.
        digest: What the recipe was called then; a newer version may call it otherwise.
        best: Whether the epoch is taken that validation would choose, and not the last one.

    Raises:
        EnvironmentError: there is no checkpoint.
    """
    device = torch.device("cpu")
    splits = known or images()
    method = parts.method_of(recipe, splits, device)
    if method.classifier() is None and splits is known:
        splits = images()
    read = checkpoint.best if best else checkpoint.latest
    trained = read(folder, recipe.digest, digest, method=method)
    if trained is None:
        raise EnvironmentError(
            f"{folder} must hold a whole checkpoint of this recipe, but holds none; train it again"
        )
    method.load_state_dict(trained.method)
    classify = score.classifier(method, splits, recipe, device=device)
    model = Portable(method, classify, size=recipe.size, splits=splits)
    return model.eval(), trained.method


def save(model: Portable, path: Path) -> None:
    """Write the program to a file that `torch.export.load` reads, with the names of its classes as
    its extra file `classes.json`."""
    with warnings.catch_warnings():
        # Weights that share one storage are written once; torch says so in a warning.
        warnings.filterwarnings("ignore", message="No complete tensor found", category=UserWarning)
        names = json.dumps([*map(shown, model.names)])
        torch.export.save(model.program(), path, extra_files={CLASSES: names})
