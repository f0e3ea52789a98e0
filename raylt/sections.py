"""Sections: the parts of a recipe that every method and dataset share."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from raylt.schema import Frozen


class Augment(Frozen):
    """How the images of a training step are disturbed; the defaults are SimCLR's for CIFAR."""

    crop: float = Field(default=0.1, gt=0, le=1)
    """Smallest share of the image's area that a random resized crop may keep."""
    resample: Literal["bicubic", "bilinear"] = "bicubic"
    """How a crop is brought to its size: bicubic as in SDCLR's program, bilinear as in BCL's."""
    flip: float = Field(default=0.5, ge=0, le=1)
    """Probability of a horizontal flip; 0 for digits and letters."""
    jitter: float = Field(default=1.0, ge=0, le=2)
    """Strength of the colour jitter: brightness, contrast, saturation 0.4 and hue 0.1 at 1."""
    grey: float = Field(default=0.2, ge=0, le=1)
    """Probability that a view loses its colours."""
    blur: float = Field(default=0.0, ge=0, le=1)
    """Probability of a Gaussian blur with a radius of 0.1 to 2 pixels."""
    rotate: float = Field(default=0.0, ge=0, le=180)
    """Largest turn of a view to either side in degrees; 0 in both papers, 20 for handwriting."""
    shear: float = Field(default=0.0, ge=0, lt=90)
    """Largest slant of a view to either side in degrees; 0 in both papers."""


class Optimizer(Frozen):
    """The optimizer and its step size."""

    name: Literal["sgd", "lars"] = "sgd"
    """Plain momentum SGD, or LARS for very large batches."""
    lr: float = Field(gt=0)
    """Peak learning rate, as given: it is never rescaled by the batch size."""
    batch_size: int = Field(ge=2)
    """Images of one step over all workers together."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Momentum of SGD."""
    weight_decay: float = Field(default=1e-4, ge=0)
    """L2 penalty."""
    decay_norms: bool = True
    """Whether the penalty also falls on biases and norms, as in both published programs."""
    drop_last: bool = False
    """Whether the rest of an epoch that does not fill a batch is left out."""


class Schedule(Frozen):
    """The learning rate as a formula of the step."""

    name: Literal["cosine", "step", "constant"] = "cosine"
    """Cosine down to `floor`, or times `gamma` at each milestone, or flat."""
    warmup: int = Field(default=0, ge=0)
    """Epochs in which the learning rate climbs linearly to its peak."""
    floor: float = Field(default=0.0, ge=0)
    """Learning rate at the end of a cosine."""
    milestones: tuple[int, ...] = Field(default=(), strict=False)
    """Epochs after which a step schedule multiplies by `gamma`."""
    gamma: float = Field(default=0.1, gt=0, le=1)
    """Factor of a step schedule."""
    per: Literal["step", "epoch"] = "step"
    """How often it changes. Per epoch, as in ProCo's and BCL's programs, all steps of the first of
    5 epochs of warm-up train at 1/5 of the peak, and so on: with 43 steps each, 0.600 of the peak
    on average, where steps that climb one by one take 0.502, 16 % less. A cosine goes on at
    `(e + 1 - warmup) / (epochs + 1 - warmup)` of its way in epoch e, counted from 0."""
    early: bool = False
    """Whether a cosine is one step ahead, as in SDCLR's program: the last step of the warm-up has
    the peak, the next one already less, and the last step of all the floor. Otherwise the step
    after the warm-up has the peak, too."""

    @model_validator(mode="after")
    def _early_means_something(self) -> Schedule:
        if self.early and (self.name != "cosine" or self.per != "step"):
            raise ValueError(
                "early must be false but for a cosine that changes per step, but got the schedule "
                f"{self.name} per {self.per}; leave it out"
            )
        return self


class Evaluation(Frozen):
    """How a model is scored."""

    labels: Literal["balanced", "tail", "few-shot"] = "balanced"
    """The labels a probe is trained on: the balanced pool, the long-tailed training set itself,
    or a few of each class (see `data`)."""
    probe: Literal["lbfgs", "sgd", "adam", "reforward", "class-balanced", "ldam"] = "lbfgs"
    """Linear classifier on frozen features: multinomial logistic regression by L-BFGS, SDCLR's
    published SGD schedule or Adam on features that are computed once; or `reforward`, SDCLR's
    whole protocol, in which the images pass the encoder anew in every epoch, cropped and flipped,
    and validation chooses the epoch. `class-balanced` and `ldam` are made for the labels of a
    tail, the second stages of KCL and TSC on ImageNet-LT and on CIFAR-LT: SGD on draws in which
    all classes are equally frequent, and margins and weights that are larger for rare classes.
    Numbers to compare with papers of features come from `reforward`, or from `sgd`, which the
    published settings of SDCLR take and which agreed with it on photographs; `lbfgs`, which goes
    on to the optimum, may be points away on either side."""
    early_falls: bool = False
    """Whether the learning rate of `sgd` and `reforward` falls one epoch early, as in SDCLR's
    program for CIFAR; false is the schedule as it is written down."""
    selection: Literal["top-1", "top-5", "last"] = "top-1"
    """What chooses the epoch of a `reforward` probe on the validation images: the accuracy, the
    accuracy of the five likeliest classes as in SDCLR's program for ImageNet-100, or nothing: the
    last one is taken."""
    neighbours: int = Field(default=20, ge=1)
    """Neighbours that vote in the k-NN score."""
    every: int = Field(default=1, ge=1)
    """Epochs between two scores; the last epoch is always scored."""

    @model_validator(mode="after")
    def _nothing_without_effect(self) -> Evaluation:
        if self.early_falls and self.probe not in ("sgd", "reforward"):
            raise ValueError(
                f"early_falls must be false for the probe {self.probe}, for it is of SDCLR's "
                "program; leave it out, or set probe: sgd or reforward"
            )
        if self.selection != "top-1" and self.probe != "reforward":
            raise ValueError(
                f"selection must be left out for the probe {self.probe}, which has no epoch to "
                f"choose, but got {self.selection}; leave it out, or set probe: reforward"
            )
        return self
