"""Steps as one compiled program: the same training, and a way back where that fails."""

import itertools
import logging
from pathlib import Path

import pytest
import torch

from raylt import recipe
from raylt.trial import compiled, parts, worker
from tests.trial.made import run, small, weights


def compiling(wanted):
    return recipe.parse(wanted.model_dump() | {"compile": True})


def trained(wanted, folder):
    """What a run reports, and its weights and buffers at the end."""
    return run(wanted, folder), weights(folder, wanted)[1]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_compiled_step_is_the_same_step_with_new_masks_in_every_epoch(caplog):
    plain, fast = (
        parts.build(small("sdclr"), root=Path("unused"), device=torch.device("cpu"))
        for _ in range(2)
    )
    # In float32 an activation next to 0 may fall on either side of it.
    plain.method.double()
    step = compiled.Compiled(fast.method.double())
    torch.manual_seed(0)
    for epoch, batch in itertools.product(range(2), itertools.islice(plain.batches.epoch(0), 2)):
        # Two runs drift apart by themselves, so that every step begins at the same weights.
        fast.method.load_state_dict(plain.method.state_dict())
        for method in (plain.method, fast.method):
            method.train()
            method.begin_epoch(epoch)
        losses = [
            torch.stack(
                tuple(built([v.double() for v in batch.views], batch.labels).values())
            ).sum()
            for built in (plain.method, step)
        ]
        assert losses[0].item() == pytest.approx(losses[1].item(), abs=1e-10)
        slopes, others = (
            torch.cat([slope.flatten() for slope in torch.autograd.grad(loss, weights)])
            for loss, built in zip(losses, (plain, fast), strict=True)
            for weights in [[w for w in built.method.parameters() if w.requires_grad]]
        )
        assert (slopes - others).norm() < 1e-10 * slopes.norm()
        # Something was compiled: no two programs add in the same order.
        assert not torch.equal(slopes, others)
        for name, buffer in plain.method.named_buffers():
            result = fast.method.get_buffer(name)
            torch.testing.assert_close(result, buffer, rtol=1e-10, atol=1e-10, msg=name)
        with torch.no_grad():
            for weight in plain.method.parameters():
                weight.mul_(1 + 0.1 * torch.randn_like(weight))
    assert [record for record in caplog.records if record.name == "raylt"] == []


class Broken(torch.nn.Module):
    """What a compiler may return: it fails at the first step, or in its backward pass."""

    def __init__(self, method, *, backward):
        super().__init__()
        self.method, self.backward = method, backward

    def forward(self, views, labels):
        if not self.backward:
            raise RuntimeError("\n  no compiler was found\nfirst of many lines")
        terms = self.method(views, labels)
        for term in terms.values():
            term.register_hook(_fail)
        return terms


def _fail(gradient):
    raise RuntimeError("no backward pass")


@pytest.mark.parametrize(
    ("backward", "reason"), [(False, "no compiler was found"), (True, "no backward pass")]
)
def test_what_cannot_be_compiled_runs_as_it_is_and_says_why_once(
    backward, reason, tmp_path, monkeypatch, caplog
):
    wanted = small(epochs=2)
    plain = trained(wanted, tmp_path / "plain")
    monkeypatch.setattr(compiled, "_program", lambda item, _: Broken(item, backward=backward))
    with caplog.at_level(logging.WARNING, "raylt"):
        reports, tensors = trained(compiling(wanted), tmp_path / "fast")
    assert caplog.messages == [
        f"steps are not compiled, and run as they are: RuntimeError: {reason}"
    ]
    assert reports == plain[0]
    for name, tensor in plain[1].items():
        assert torch.equal(tensors[name], tensor), name


def test_a_recipe_that_does_not_compile_is_the_recipe_of_before():
    assert small().digest == recipe.parse(small().model_dump() | {"compile": False}).digest
    assert small().digest != compiling(small()).digest


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_replays_a_compiled_run_of_several_epochs(tmp_path, caplog):
    scores = []
    for compile in (False, True):
        wanted = small(epochs=8, precision="bfloat16", compile=compile)
        rows = []
        worker.work(
            wanted,
            root=Path("unused"),
            folder=tmp_path / str(compile),
            report=rows.append,
            device="cuda",
        )
        scores.append(rows[-1]["val/accuracy"])
    assert [record for record in caplog.records if record.name == "raylt"] == []
    assert scores[1] == pytest.approx(scores[0], abs=0.1)
