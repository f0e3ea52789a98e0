import os

import pytest

from raylt.cluster import network


@pytest.fixture(autouse=True)
def _unset(monkeypatch):
    for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
        # Both calls: the first remembers the value, the second takes it away.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def test_loopback_is_found_by_its_address():
    assert network.interfaces()["127.0.0.1"] == "lo"


def test_the_interface_of_an_address_is_named_to_gloo_and_nccl():
    assert network.name_interface("127.0.0.1") == "lo"
    assert os.environ["GLOO_SOCKET_IFNAME"] == os.environ["NCCL_SOCKET_IFNAME"] == "lo"


def test_what_the_user_has_set_stays(monkeypatch):
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "ib0")
    network.name_interface("127.0.0.1")
    assert os.environ["GLOO_SOCKET_IFNAME"] == "ib0"


def test_an_address_of_another_machine_names_nothing():
    assert network.name_interface("203.0.113.7") is None
    assert "GLOO_SOCKET_IFNAME" not in os.environ
