"""A trained model that stands alone: images in, logits and features out, as one torch program."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from raylt import datasets
from raylt.methods._base import Classifier, Method
from raylt.recipe import Recipe
from raylt.schema import EnvironmentError
from raylt.trial import parts
from raylt.trial.checkpoints import checkpoint
from raylt.trial.evaluation import score


class Portable(nn.Module):
    """A trained encoder and the classifier that its scores are by.

    Args:
        method: The trained method.
        classify: Images -> logits.
        shape: Channels, height and width of an image.
        classes: Classes.
    """

    def __init__(
        self, method: Method, classify: Classifier, *, shape: tuple[int, int, int], classes: int
    ) -> None:
        super().__init__()
        self.method = method
        self.shape = shape
        self.classes = classes
        self._classify = classify

    def forward(
        self, images: Float[Tensor, "image channel height width"]
    ) -> tuple[Float[Tensor, "image class"], Float[Tensor, "image feature"]]:
        """Logits and features of images with pixels in [0, 1]."""
        return self._classify(images), self.method.encode(images)

    def example(self) -> Float[Tensor, "image channel height width"]:
        """Two black images, to trace the program with."""
        return torch.zeros(2, *self.shape)

    def program(self) -> torch.export.ExportedProgram:
        """The computation as a graph with its weights; any number of images goes in."""
        batch = torch.export.Dim("batch")
        with torch.no_grad():
            return torch.export.export(
                self, (self.example(),), dynamic_shapes=({0: batch},), strict=False
            )


def load(
    recipe: Recipe, *, digest: str, root: Path, folder: Path, best: bool
) -> tuple[Portable, dict[str, Tensor]]:
    """The model of a finished run, on the CPU, and the method's weights as the run left them.

    A method without a classifier gets the probe that its scores are by, fitted again on the same
    labels with the same seed.

    Args:
        recipe: What was trained.
        digest: What the recipe was called then; a newer version may call it otherwise.
        root: Folder of the datasets, for the probe.
        folder: The run's folder, with its checkpoints.
        best: Whether the epoch is taken that validation would choose, and not the last one.

    Raises:
        EnvironmentError: there is no checkpoint, or the dataset is missing.
    """
    device = torch.device("cpu")
    splits = datasets.load(recipe.data, root)
    method = parts.method_of(recipe, splits, device)
    read = checkpoint.best if best else checkpoint.latest
    trained = read(folder, recipe.digest, digest, method=method)
    if trained is None:
        raise EnvironmentError(
            f"{folder} must hold a whole checkpoint, but holds none; was it removed? train it "
            f"again"
        )
    method.load_state_dict(trained.method)
    classify = score.classifier(method, splits, recipe, device=device)
    shape = (splits.train.take(np.zeros(1, np.int64)).shape[1], recipe.size, recipe.size)
    model = Portable(method, classify, shape=shape, classes=splits.classes)
    return model.eval(), trained.method


def save(model: Portable, path: Path) -> None:
    """Write the program to a file that `torch.export.load` reads."""
    with warnings.catch_warnings():
        # Weights that share one storage are written once; torch says so in a warning.
        warnings.filterwarnings("ignore", message="No complete tensor found", category=UserWarning)
        torch.export.save(model.program(), path)
