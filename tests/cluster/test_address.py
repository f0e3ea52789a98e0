import pytest

from raylt.cluster import address
from raylt.schema import InputError


@pytest.mark.parametrize(
    ("given", "way"),
    [
        (None, "here"),
        ("local", "here"),
        ("auto", "join"),
        ("10.0.0.1:6379", "join"),
        ("head.cluster_1:6379", "join"),
        ("[fd00::1]:6379", "join"),
        ("http://head:8265", "submit"),
        ("http://head:8265/", "submit"),
        ("https://ray.example.org", "submit"),
    ],
)
def test_every_way_to_use_a_cluster(given, way):
    assert address.way(given) == way


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("ray://head:10001", "--address auto"),
        ("head", "HOST:6379"),
        ("head:0", "HOST:6379"),
        ("head:99999", "HOST:6379"),
        ("", "HOST:6379"),
        ("ftp://head:21", "HOST:6379"),
        ("http://", "http://head:8265"),
        ("http://head:port", "http://head:8265"),
        ("http://head:8265/api/jobs", "try http://head:8265"),
        ("http://me:secret@head:8265", "RAY_AUTH_TOKEN_PATH"),
    ],
)
def test_what_is_no_address_is_refused_with_the_advice(given, message):
    with pytest.raises(InputError) as refused:
        address.way(given)
    assert message in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "has_token", "count"),
    [
        ("http://10.1.2.3:8265", True, 0),
        ("http://localhost:8265", True, 0),
        ("http://head.internal:8265", True, 0),
        ("https://ray.example.org", True, 0),
        ("http://8.8.8.8:8265", True, 1),
        ("http://ray.example.org:8265", False, 2),
        ("http://head:8265", False, 1),
    ],
)
def test_an_open_door_is_warned_of(given, has_token, count):
    assert len(address.warnings(given, has_token=has_token)) == count
