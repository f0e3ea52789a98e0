import shlex
import string
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import make_url

from raylt import uris

ODD = "/@:?#%&= '\"\\+,;"
HOST = "mlflow.example"
names = st.text(string.ascii_letters, min_size=4, max_size=8).map(lambda text: f"u9{text}")
passwords = st.text(string.ascii_letters + string.digits + ODD, min_size=6, max_size=16).map(
    # Long enough to be no part of another word, at both ends.
    lambda text: f"c4n4ry{text}y7ry"
)
schemes = st.sampled_from(["http", "https", "postgresql", "postgresql+psycopg2", "mysql+pymysql"])
parameters = st.sampled_from(
    ["token", "PASSWORD", "password", "sslkey", "sslpassword", "api_key", "access_token", "user"]
)


def leaks(text, secret):
    """Whether a text has the secret, one of its ends, or either of them encoded."""
    return any(part in text for part in (secret, secret[:6], secret[-4:], quote(secret, safe="")))


@st.composite
def with_password(draw):
    user, password = draw(names), draw(passwords)
    written = draw(st.sampled_from([password, quote(password, safe=""), quote(password)]))
    path = draw(st.sampled_from(["", "/", "/base", "/base?sslmode=require", "/b#part"]))
    return f"{draw(schemes)}://{user}:{written}@{HOST}:5000{path}", password, user


@st.composite
def with_parameter(draw):
    value = draw(passwords)
    written = quote(value, safe="")
    first = draw(st.sampled_from(["", "sslmode=require&"]))
    uri = f"{draw(schemes)}://{HOST}/base?{first}{draw(parameters)}={written}"
    return uri + draw(st.sampled_from(["", "&x=1"])), value, "u9"


secrets = st.one_of(with_password(), with_parameter())


@given(secrets)
def test_no_secret_of_a_uri_is_shown(secret):
    uri, password, user = secret
    shown = uris.public(uri)
    assert not leaks(shown, password), shown
    assert user not in shown
    assert uris.public(shown) == shown
    assert uris.has_secrets(uri)


@given(secrets)
def test_no_secret_is_left_in_a_text_or_a_command(secret):
    uri, password, _ = secret
    text = f'cannot reach "{uri}", password {password} of {uri}/api/2.0 was refused'
    assert not leaks(uris.redacted(text, [uri]), password)
    words = ["raylt", "tune", "--tracking-uri", uri, f"--storage={uri}"]
    shown = uris.redacted_command(words)
    assert not leaks(shown, password), shown
    assert shlex.split(shown)[:3] == words[:3]


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("https://me:pw@host:5000/x", "https://host:5000/x"),
        ("https://token@host/", "https://host/"),
        ("http://host:5000/a?b=c#d", "http://host:5000/a?b=c#d"),
        ("http://host/a?token=secret&b=c", "http://host/a?b=c"),
        ("http://host/a?token=secret", "http://host/a"),
        ("http://host/#/?#", "http://host/#/?#"),
        ("http://host/?", "http://host/?"),
        ("http://me:a/b@host/", "http://host/"),
        ("http://me:a?b@host/", "http://***"),
        ("sqlite:////a@b/c.db", "sqlite:////a@b/c.db"),
        ("postgresql+psycopg://u:p%40q@h/db", "postgresql+psycopg://h/db"),
        ("postgresql://u:p@ss@h/db", "postgresql://h/db"),
        ("postgresql://h/db?sslkey=/k&sslmode=require", "postgresql://h/db?sslmode=require"),
        ("databricks://profile", "databricks://profile"),
        ("no uri at all @ all", "no uri at all @ all"),
    ],
)
def test_what_is_shown_of_a_uri(uri, shown):
    assert uris.public(uri) == shown


@pytest.mark.parametrize(
    "uri",
    ["http://h:five/", "postgresql://u:p@h:five/db", "http://u:a/b@h/", "mysql://u:a/b@c@h/"],
)
def test_a_port_that_is_no_number_is_refused_without_a_secret(uri):
    with pytest.raises(ValueError, match="must be a URI of a host and a port") as caught:
        uris.require_readable(uri)
    assert "a/b" not in str(caught.value)


@pytest.mark.parametrize("name", ["a?b", "c%2Fd", "e#f", "g h", "é", "x;y&z=1", "plain"])
def test_a_sqlite_file_is_where_its_path_says(name):
    file = Path("/runs", name, "mlflow.db")
    assert make_url(uris.sqlite(file)).database == str(file)
    assert uris.sqlite_file(uris.sqlite(file)) == file


def test_the_uri_of_a_plain_path_is_as_it_always_was():
    assert uris.sqlite(Path("/my runs/mlflow.db")) == "sqlite:////my runs/mlflow.db"
    assert uris.sqlite_file("sqlite:///:memory:") is None
    assert uris.sqlite_file("http://host/") is None
