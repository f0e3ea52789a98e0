"""What every plug-in must keep, as tests for pytest: a subclass names the plug-in.

```python
from raylt.testing import MethodContract

class TestMine(MethodContract):
    plugin = "my_module:MyMethod"
```

`DatasetContract` and `EncoderContract` are used alike. raylt's own plug-ins run the same tests.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from raylt import datasets, encoders, optim, plugins
from raylt.data import augment
from raylt.methods import _base
from raylt.nn.encoder import Encoder
from raylt.nn.masked import Competitor, magnitude_masks

_COUNTS = (60, 20, 7, 3)
_LABELS = torch.tensor([0, 0, 0, 1, 0, 1, 2, 3])


class _Contract:
    """A plug-in and its settings; each test runs once for each of these."""

    plugin: ClassVar[str]
    """Its name, as a space file has it."""
    settings: ClassVar[Sequence[Mapping[str, Any]]] = ({},)
    """Values for its config: those of a variant that takes another way through the code."""

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """One test for each of the settings."""
        if "changes" in metafunc.fixturenames:
            metafunc.parametrize("changes", self.settings, ids=str)


class MethodContract(_Contract):
    """What the search, the trial and its resumption need of a method."""

    def _built(self, changes: Mapping[str, Any], seed: int = 0) -> _base.Method:
        config: Any = plugins.config("methods", self.plugin)(**changes)
        torch.manual_seed(seed)
        encoder = encoders.build("small", channels=1, size=8, mean=(0.5,), std=(0.5,))
        return _base.build(config, encoder, _COUNTS)

    def _views(self, changes: Mapping[str, Any]) -> list[Tensor]:
        config: Any = plugins.config("methods", self.plugin)(**changes)
        draw = torch.Generator().manual_seed(1)
        names = _base.named(self.plugin).views(config)
        assert set(names) <= set(augment.VIEWS), f"unknown views: {names}"
        return [torch.rand(8, 1, 8, 8, generator=draw) for _ in names]

    def _trained(self, changes: Mapping[str, Any], steps: int) -> _base.Method:
        method, views = self._built(changes), self._views(changes)
        step = optim.optimizer(
            method, name="sgd", lr=0.05, momentum=0.9, weight_decay=1e-4, decay_norms=True
        )
        for epoch in range(steps):
            method.begin_epoch(epoch)
            step.zero_grad()
            torch.stack(tuple(method(views, _LABELS).values())).sum().backward()
            step.step()
        return method

    def test_every_field_of_the_config_is_documented(self) -> None:
        """`raylt check --schema` shows the string under a field."""
        fields = plugins.config("methods", self.plugin).model_fields
        assert [name for name, field in fields.items() if not field.description] == []

    def test_terms_are_finite_and_their_gradient_reaches_what_trains(self, changes: Any) -> None:
        """Several workers wait for the gradient of every parameter."""
        method = self._built(changes)
        method.begin_epoch(0)
        terms = method(self._views(changes), _LABELS)
        assert terms
        assert all(term.shape == () and term.isfinite() for term in terms.values())
        torch.stack(tuple(terms.values())).sum().backward()
        trained = [(name, p) for name, p in method.named_parameters() if p.requires_grad]
        assert [name for name, parameter in trained if parameter.grad is None] == []

    def test_the_same_seed_is_the_same_run(self, changes: Any) -> None:
        """A trial can be repeated."""
        first, second = (self._trained(changes, 3).state_dict() for _ in range(2))
        assert [key for key in first if not torch.equal(first[key], second[key])] == []

    def test_a_state_dict_is_the_whole_state(self, changes: Any) -> None:
        """A run that was killed goes on in the middle of an epoch."""
        method, views = self._trained(changes, 2), self._views(changes)
        fresh = self._built(changes, seed=9)
        fresh.load_state_dict(copy.deepcopy(method.state_dict()))
        expected, resumed = method(views, _LABELS), fresh(views, _LABELS)
        assert all(torch.equal(expected[key], resumed[key]) for key in expected)

    def test_features_and_logits_have_their_shape(self, changes: Any) -> None:
        """What probes and scores see."""
        method, images = self._built(changes).eval(), self._views(changes)[0]
        assert method.encode(images).shape == (len(images), method.encoder.width)
        classify = method.classifier()
        assert classify is None or classify(images).shape == (len(images), len(_COUNTS))

    def test_the_config_tells_whether_the_probe_classifies(self, changes: Any) -> None:
        """The notes below a table name the probe where the accuracy is that of it."""
        method = self._built(changes)
        config: Any = plugins.config("methods", self.plugin)(**changes)
        assert config.is_probed() == (method.classifier() is None and method.probe() is None)


class DatasetContract(_Contract):
    """What the search, the trial and the confirmation need of a dataset."""

    root: ClassVar[Path] = Path("data")
    """Folder of its files."""

    def test_every_field_of_the_config_is_documented(self) -> None:
        """`raylt check --schema` shows the string under a field."""
        fields = plugins.config("datasets", self.plugin).model_fields
        assert [name for name, field in fields.items() if not field.description] == []

    def test_its_parts_are_images_with_labels(self, changes: Any) -> None:
        """Images are uint8 with a channel, every class is trained on, and reading again gives the
        same ones."""
        config: Any = plugins.config("datasets", self.plugin)(**changes)
        splits, again = (datasets.load(config, self.root) for _ in range(2))
        assert splits.fingerprint == again.fingerprint
        assert len(splits.mean) == len(splits.std)
        assert min(splits.train_counts) > 0
        for part in (splits.train, splits.balanced, splits.validation, splits.test):
            assert part.labels.dtype == np.int64
            assert set(part.labels.tolist()) <= set(range(splits.classes))
            images = part.take(np.arange(min(2, len(part))))
            assert images.dtype == np.uint8
            assert images.ndim == 4
            assert images.shape[1] in (1, 3)
        counts = config.train_counts()
        assert counts is None or tuple(counts) == splits.train_counts


class EncoderContract(_Contract):
    """What methods need of an encoder."""

    channels: ClassVar[int] = 3
    """Channels of the images."""
    size: ClassVar[int] = 32
    """Height and width of the images."""

    def _built(self, seed: int = 0) -> Encoder:
        torch.manual_seed(seed)
        mean = (0.5,) * self.channels
        return encoders.build(
            self.plugin, channels=self.channels, size=self.size, mean=mean, std=mean
        )

    def _images(self) -> Tensor:
        draw = torch.Generator().manual_seed(1)
        return torch.rand(4, self.channels, self.size, self.size, generator=draw)

    def test_features_are_finite_and_their_gradient_reaches_what_trains(self) -> None:
        """Several workers wait for the gradient of every parameter."""
        encoder = self._built()
        features = encoder(self._images())
        assert features.shape == (4, encoder.width)
        assert features.isfinite().all()
        features.square().sum().backward()
        trained = [(name, p) for name, p in encoder.named_parameters() if p.requires_grad]
        assert [name for name, parameter in trained if parameter.grad is None] == []

    def test_nothing_is_drawn_after_the_weights(self) -> None:
        """A run that is resumed is the one that was not interrupted."""
        first, second = self._built(), self._built()
        torch.manual_seed(2)
        expected = first(self._images())
        torch.manual_seed(3)
        assert torch.equal(second(self._images()), expected)

    def test_a_state_dict_is_the_whole_state(self) -> None:
        """A checkpoint has all of it."""
        encoder, fresh = self._built(), self._built(seed=9)
        encoder(self._images())
        fresh.load_state_dict(encoder.state_dict())
        images = self._images()
        assert torch.equal(fresh.eval()(images), encoder.eval()(images))

    def test_it_can_be_pruned(self) -> None:
        """SDCLR's competitor finds weights in it, and none of its features are lost by it."""
        encoder = self._built()
        competitor = Competitor(encoder, own_norms=True)
        assert competitor.weights()
        competitor.hide(magnitude_masks(competitor.weights(), 0.0))
        torch.testing.assert_close(competitor(self._images()), encoder(self._images()))
