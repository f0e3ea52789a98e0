"""Accuracy per class, and its cut into many, medium and few."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

Groups = dict[str, tuple[int, ...]]
"""The classes of each shot group; an empty group is absent."""
