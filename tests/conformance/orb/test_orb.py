"""ORB Core is a CORBA server: omniORB's own tools and a C++ client agree.

The C++ client needs a compiler, `libomniorb4-dev` and `omniidl`, as Debian and Ubuntu have
them; OMNIORB_ROOT names another place than /usr.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from tests.conformance.orb.conftest import get

ROOT = Path(__file__).resolve().parents[3]
IDL = ROOT / "services" / "idl" / "orbcore.idl"
PREFIX = Path(os.environ.get("OMNIORB_ROOT", "/usr"))
EXPECTED = [
    "published reference", "same 1", "octets 19", "got 2 1", "stale 2", "invalid", "listed 1", "echo 1", "gone",
    "balance 0",
]  # fmt: skip


def _endpoint(port: int) -> str:
    """Return what omniORB's `catior` reads out of the published reference."""
    catior = shutil.which("catior", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if catior is None:
        pytest.skip("omniORB's catior is not installed")
    ior = get(port, "/ior")
    return subprocess.run([catior, ior], check=True, capture_output=True, text=True).stdout


def test_the_reference_carries_the_address_to_be_dialled(orb_core):
    """`/ior` names the proxy, in IIOP 1.2 and with code sets; never the direct endpoint."""
    ports = orb_core(IIOP_PUBLISH="127.0.0.1:20999")
    said = _endpoint(ports["PORT"])
    assert "IIOP 1.2 127.0.0.1 20999" in said
    assert "TAG_CODE_SETS" in said
    assert str(ports["IIOP_PORT"]) not in said


def test_without_the_published_address_calls_go_past_the_proxy(orb_core):
    """`orb-core.ior.publish_proxy` off: the reference leads to the process itself."""
    ports = orb_core(IIOP_PUBLISH="127.0.0.1:20999", RESILIENCE_DISABLE="orb-core.ior.publish_proxy")
    assert f"IIOP 1.2 127.0.0.1 {ports['IIOP_PORT']}" in _endpoint(ports["PORT"])


def _lacks(reason: str) -> NoReturn:
    """Skip for *reason*; where everything is said to be installed that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def client(tmp_path_factory) -> Path:
    """The C++ client, built here; skips with the reason where that cannot be, and fails in CI."""
    compiler, idl = shutil.which("g++"), PREFIX / "bin" / "omniidl"
    if compiler is None:
        _lacks("no C++ compiler")
    if not (PREFIX / "include" / "omniORB4" / "CORBA.h").exists() or not idl.exists():
        _lacks(f"no omniORB for C++ under {PREFIX}: apt-get install libomniorb4-dev omniidl")
    folder = tmp_path_factory.mktemp("client")
    subprocess.run([str(idl), "-bcxx", "-C", str(folder), str(IDL)], check=True)
    libraries = [f"-L{path}" for path in (PREFIX / "lib").glob("*-linux-gnu")]
    built = folder / "client"
    sources = [str(Path(__file__).with_name("client.cc")), str(folder / "orbcoreSK.cc")]
    flags = [f"-I{folder}", f"-I{PREFIX / 'include'}", *libraries]
    subprocess.run([compiler, *flags, *sources, "-lomniORB4", "-lomnithread", "-o", str(built)], check=True)
    return built


@pytest.mark.timeout(180)
def test_a_client_in_another_language_agrees(orb_core, client):
    """Create, repeat, update, get, list, echo, remove and every user exception, from C++."""
    port = orb_core()["IIOP_PORT"]
    paths = ":".join(str(path) for path in (PREFIX / "lib").glob("*-linux-gnu"))
    command = [str(client), f"corbaloc:iiop:1.2@127.0.0.1:{port}/WidgetFactory"]
    env = {"LD_LIBRARY_PATH": paths}
    done = subprocess.run(command, env=env, timeout=20, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()) == (0, EXPECTED), done.stderr
