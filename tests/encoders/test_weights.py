import pytest
import timm
import torch
from safetensors.torch import save_file
from torch.testing import assert_close

from raylt import encoders
from raylt.encoders import EncoderConfig
from raylt.schema import InputError

DATA = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.2, 0.2)}
IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def begun(tmp_path, file, name="timm/test_resnet", **more):
    chosen = EncoderConfig(name=name, weights=str(file), **more)
    return encoders.build(chosen, channels=3, size=32, root=tmp_path, **DATA).eval()


def trained(name="test_resnet"):
    torch.manual_seed(7)
    net = timm.create_model(name, num_classes=5)
    net(torch.rand(8, 3, 32, 32))
    return net.eval()


def expected(net, encoder):
    return net.forward_head(net.forward_features((IMAGES - encoder.mean) / encoder.std), True)


@pytest.mark.parametrize("prefix", ["", "module.", "encoder.network."])
@pytest.mark.parametrize("kind", ["safetensors", "state dict", "checkpoint"])
def test_the_weights_of_a_file_are_those_of_the_encoder(tmp_path, prefix, kind):
    net = trained()
    state = {f"{prefix}{key}": tensor for key, tensor in net.state_dict().items()}
    if kind == "safetensors":
        save_file(state, tmp_path / "w.safetensors")
    else:
        torch.save({"epoch": 3, "model": state} if kind == "checkpoint" else state, tmp_path / "w")
    result = begun(tmp_path, "w.safetensors" if kind == "safetensors" else "w")
    assert_close(result(IMAGES), expected(net, result))
    # Of a library's network the normalisation is its library's.
    assert result.mean.flatten().tolist() == pytest.approx(net.pretrained_cfg["mean"])


def test_an_exported_model_brings_its_own_normalisation(tmp_path):
    exported = encoders.build("small", channels=3, size=32, mean=(0.1,) * 3, std=(0.7,) * 3)
    state = {f"encoder.{key}": tensor for key, tensor in exported.state_dict().items()}
    (tmp_path / "exported").mkdir()
    save_file({**state, "head.0.weight": IMAGES}, tmp_path / "exported" / "weights.safetensors")
    result = begun(tmp_path, "exported", name="small")
    assert_close(result(IMAGES), exported.eval()(IMAGES))
    assert result.mean.flatten().tolist() == pytest.approx([0.1] * 3)
    own = begun(tmp_path, "exported", name="small", mean=(0.2,) * 3, std=(1.0,) * 3)
    assert own.mean.flatten().tolist() == pytest.approx([0.2] * 3)


def test_a_file_of_another_network_is_refused_with_its_keys(tmp_path):
    torch.save(
        encoders.build("resnet18", channels=3, size=32, **DATA).state_dict(), tmp_path / "w"
    )
    with pytest.raises(InputError, match=r"encoder.weights must hold .*lacks conv1.*and \d+ more"):
        begun(tmp_path, "w")
    with pytest.raises(InputError, match=r"size that they were trained with"):
        begun(tmp_path, "w", name="resnet32")
    state = trained().state_dict()
    deeper = {**state, "layer9.0.weight": state["conv1.0.weight"]}
    torch.save(deeper, tmp_path / "deeper")
    with pytest.raises(InputError, match=r"has beside them layer9.0.weight; name the encoder"):
        begun(tmp_path, "deeper")
    torch.save({**state, "conv1.0.weight": torch.zeros(1, 3)}, tmp_path / "odd")
    with pytest.raises(InputError, match=r"has conv1.0.weight 1x3 instead of "):
        begun(tmp_path, "odd")


class Evil:
    def __reduce__(self):
        return print, ("run",)


def test_no_code_in_a_file_is_run(tmp_path, capsys):
    torch.save({"model": Evil()}, tmp_path / "w.pt")
    with pytest.raises(InputError, match=r"must name safetensors, a state dict .*torch.save"):
        begun(tmp_path, "w.pt")
    assert "run" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [None, b"", b"not weights"])
@pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"but .*{name} cannot be read as one \(.+\); write one"):
        begun(tmp_path, name)


def test_a_file_without_a_state_dict_is_named(tmp_path):
    torch.save({"epoch": 3, "model": {"x": 1}}, tmp_path / "w.pt")
    with pytest.raises(InputError, match=r"must hold a state dict, but .*w.pt has none"):
        begun(tmp_path, "w.pt")
