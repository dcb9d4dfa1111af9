"""A configuration is checked as a whole, and says everything that is wrong with it at once."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chaos import config
from chaos.config import Address
from chaos.errors import ConfigError, UnknownNameError
from tests.support import project


def test_a_good_project_is_read(tiny: Path) -> None:
    """Edges, services and stores are there under their names."""
    loaded = config.load(tiny)
    assert list(loaded.proxies) == ["web.redis"]
    assert loaded.protocol("web.redis") == "redis"
    assert loaded.ports() == {"toxiproxy": 8474, "edge web.redis": 11001, "web http": 8080, "redis": 6379}


def test_every_problem_of_the_edges_is_told_at_once(tmp_path: Path) -> None:
    """One error names each bad entry, its value and what was expected."""
    edges = [
        {"name": "web.redis", "listen": "0.0.0.0:11001", "upstream": "127.0.0.1:6379"},
        {"name": "web.redis", "listen": "127.0.0.1:11002", "upstream": "example.org:6379"},
        {"name": "a.b", "listen": "127.0.0.1:11002", "upstream": ":5432"},
    ]
    with pytest.raises(ConfigError) as caught:
        config.load(project.make(tmp_path / "p", edges=edges))
    text = str(caught.value)
    assert len(caught.value.problems) == 5
    assert "'0.0.0.0:11001' is not on loopback" in text
    assert "'example.org:6379' is not on loopback" in text
    assert "named twice" in text
    assert "listens on 127.0.0.1:11002 like web.redis" in text
    assert "':5432' is not host:port" in text


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", "[1]", '[{"name": "A B"}]', "[" * 100_000, f"[{'9' * 5000}]", '"x"', "null"]
)
def test_a_broken_edge_file_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    """Whatever stands in toxiproxy.json, the error is a ConfigError that names the file."""
    with pytest.raises(ConfigError, match=r"toxiproxy\.json"):
        config.load(project.make(tmp_path / "p", edges=text))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(
    content=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from(["name", "listen", "upstream", "enabled", "x"]), inner, max_size=5)
        ),
        max_leaves=12,
    )
)
def test_any_json_as_edge_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: object) -> None:
    """Fuzzed edge files never raise anything but a ConfigError."""
    import json  # noqa: PLC0415

    folder = project.make(tmp_path_factory.mktemp("fuzz") / "p", edges=json.dumps(content))
    with pytest.raises(ConfigError):
        config.load(folder)


NAMES = st.sampled_from(["web.redis", "web.postgres", "web", "web.", "a.b.c", "Web.redis", "", "w\n.redis"])
ADDRESSES = st.sampled_from(
    ["127.0.0.1:11001", "127.0.0.1:6379", "localhost:6379", "0.0.0.0:11001", ":11001", "127.0.0.1:0", "[::1]:1", "db:1"]
) | st.integers(-1, 70_000).map("127.0.0.1:{}".format)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(
    edges=st.lists(
        st.fixed_dictionaries(
            {"name": NAMES, "listen": ADDRESSES, "upstream": ADDRESSES}, optional={"enabled": st.booleans()}
        ),
        min_size=1,
        max_size=4,
    )
)
def test_nearly_right_edges_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, edges: list[dict[str, str]]
) -> None:
    """What is read has one loopback proxy for each pair; all else is a ConfigError with its problems."""
    try:
        loaded = config.load(project.make(tmp_path_factory.mktemp("fuzz") / "p", edges=edges))
    except ConfigError as error:
        problems = error.problems
    else:
        problems = ()
    if problems:
        return
    listens = [proxy.listen for proxy in loaded.proxies.values()]
    assert [*loaded.proxies] == [edge["name"] for edge in edges]
    assert len({*listens}) == len(edges)
    assert all(listen.startswith(("127.0.0.1:", "localhost:", "[::1]:")) for listen in listens)


def test_a_host_that_is_listed_may_be_touched(tmp_path: Path) -> None:
    """allow-hosts widens the blast radius on purpose."""
    edges = [{"name": "web.redis", "listen": "127.0.0.1:11001", "upstream": "db.internal:6379"}]
    pyproject = project.PYPROJECT.replace('entry = "web"', 'entry = "web"\nallow-hosts = ["db.internal"]')
    loaded = config.load(project.make(tmp_path / "p", edges=edges, pyproject=pyproject))
    assert loaded.proxies["web.redis"].upstream == "db.internal:6379"


def test_settings_say_what_is_wrong_with_them(tmp_path: Path) -> None:
    """Misspelt keys and impossible values are all named."""
    pyproject = '[tool.chaos-lab]\nenty = "web"\ntoxiproxy-port = 99999\n'
    pyproject += '[tool.chaos-lab.services.web]\nrun = "nothing"\nports = {}\n'
    with pytest.raises(ConfigError) as caught:
        config.load(project.make(tmp_path / "p", pyproject=pyproject))
    assert len(caught.value.problems) == 4
    assert "enty" in str(caught.value)
    assert "99999" in str(caught.value)


def test_ports_that_collide_are_named(tmp_path: Path) -> None:
    """Two things on one port cannot start."""
    with pytest.raises(ConfigError, match="port 8474 is given to both 'toxiproxy' and 'web http'"):
        config.load(project.make(tmp_path / "p", pyproject=project.PYPROJECT.replace("8080", "8474")))


@pytest.mark.parametrize(
    "content", [None, "", "[tool]", "not toml [", "tool = 3", f"a = {'9' * 5000}", f"a = {'[' * 9999}"]
)
def test_a_folder_without_settings_says_what_to_do(tmp_path: Path, content: str | None) -> None:
    """No pyproject, one without our table, or one that nobody can read is wrong usage with a way out."""
    if content is not None:
        (tmp_path / "pyproject.toml").write_text(content)
    with pytest.raises(ConfigError):
        config.load(tmp_path)


def test_globs_select_edges_and_unknown_names_show_the_candidates(tiny: Path) -> None:
    """A typo is answered with the nearest name."""
    loaded = config.load(tiny)
    assert loaded.select("*.redis") == ("web.redis",)
    with pytest.raises(UnknownNameError, match=r"no edge matches 'web.reds'\. Did you mean 'web.redis'\?"):
        loaded.select("web.reds")


@pytest.mark.parametrize("text", ["", "5432", ":5432", "host:", "host:0", "host:65536", "host:x", "host:-1"])
def test_an_address_needs_host_and_port(text: str) -> None:
    """Anything else is refused with an example of what is expected."""
    with pytest.raises(ValueError, match=r"is not host:port"):
        Address.parse(text)


def test_an_address_reads_back_as_written() -> None:
    """Parsing and printing are inverse."""
    assert str(Address.parse("127.0.0.1:5432")) == "127.0.0.1:5432"
