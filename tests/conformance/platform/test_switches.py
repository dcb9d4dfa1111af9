"""Safeguards that only show with real stores: switched off, the platform behaves as a naive one."""

import signal
import uuid

import pytest

from tests.conformance.platform.stores import wait_until

PATH = "/api/v1/widgets"
AUTH = "/api/v1/auth"


@pytest.fixture
def naive(start):
    """Start a platform with some safeguards off; it is stopped afterwards."""
    started = []

    def naive(*names: str):
        platform = start(RESILIENCE_DISABLE=",".join(names))
        started.append(platform)
        return platform

    yield naive
    for platform in started:
        for service in platform.pids:
            platform.stop(service, signal.SIGKILL)


def test_without_idempotency_a_repeat_is_a_second_widget(naive):
    """`widget-core.idempotency` off: keys are ignored."""
    platform = naive("widget-core.idempotency")
    token, name, headers = platform.token(), str(uuid.uuid4()), {"idempotency-key": str(uuid.uuid4())}
    for _ in range(2):
        assert platform.create(token, name, headers=headers).status_code == 201
    assert platform.count("SELECT count(*) FROM widgets WHERE name = %s", name) == 2


def test_without_if_match_the_last_writer_wins(naive):
    """`widget-core.if_match` off: a stale version overwrites silently."""
    platform = naive("widget-core.if_match")
    token = platform.token()
    path = f"{PATH}/{platform.create(token).json()['id']}"
    answers = [
        platform.call("PUT", path, token=token, json={"name": name}, headers={"if-match": '"1"'}).status_code
        for name in "ab"
    ]
    assert answers == [200, 200]


def test_without_an_outbox_orb_core_misses_what_happens_while_it_is_away(naive):
    """`widget-core.outbox` off: an update during an outage leaves no trace to deliver."""
    platform = naive("widget-core.outbox", "widget-core.reconcile")
    token = platform.token()
    path = f"{PATH}/{platform.create(token).json()['id']}"
    platform.stop("orb_core", signal.SIGSTOP)
    platform.call("PATCH", path, token=token, json={"payload": {"a": 1}})
    platform.stop("orb_core", signal.SIGCONT)
    assert platform.count("SELECT version FROM widgets") == 2
    assert platform.count("SELECT count(*) FROM outbox") == 0


@pytest.mark.parametrize("off", ["", "widget-core.reconcile"])
def test_a_restarted_orb_core_is_refilled(naive, off):
    """The native objects come back from the record; with `widget-core.reconcile` off they do not."""
    platform = naive(*filter(None, [off]))
    token = platform.token()
    paths = [f"{PATH}/{platform.create(token, json={'payload': {'n': n}}).json()['id']}" for n in range(3)]
    platform.restart("orb_core")
    live = lambda: platform.call("GET", "/memory", service="orb_core").json()["live_objects"]  # noqa: E731 - short
    if off:
        wait_until(lambda: platform.call("GET", f"{paths[0]}/native", token=token).headers["x-cache"] == "stale")
        assert live() == 0
        return
    wait_until(lambda: live() == 3)
    fresh = lambda path: platform.call("GET", f"{path}/native", token=token)  # noqa: E731 - short
    for number, path in enumerate(paths):
        wait_until(lambda path=path: fresh(path).headers["x-cache"] == "miss")
        assert fresh(path).json()["payload"] == {"n": number}


def test_without_reuse_detection_a_stolen_refresh_token_works(naive):
    """`security.refresh.reuse_detection` off: the same token is good for ever."""
    platform = naive("security.refresh.reuse_detection")
    tokens = platform.login()
    for _ in range(2):
        answer = platform.call("POST", f"{AUTH}/refresh", json={"refresh_token": tokens["refresh_token"]})
        assert answer.status_code == 200


def test_without_credentials_only_good_logins_lock_the_account(naive):
    """`security.lockout.credentials_only` off: whatever arrives counts."""
    platform = naive("security.lockout.credentials_only")
    user = {"email": f"{uuid.uuid4()}@example.org", "password": "long enough"}
    platform.call("POST", f"{AUTH}/register", json=user)
    answers = [platform.call("POST", f"{AUTH}/login", json=user).status_code for _ in range(6)]
    assert answers[-1] == 429


def test_without_revocation_a_revoked_token_works(naive):
    """`gateway.revocation` off: a logout means nothing to the gateway."""
    platform = naive("gateway.revocation")
    token = platform.token()
    platform.call("POST", f"{AUTH}/logout", token=token)
    wait_until(lambda: platform.count("SELECT count(*) FROM revocations") > 0)
    assert platform.create(token).status_code == 201


def test_without_sanitizing_errors_tell_of_the_inside(naive):
    """`*.errors.sanitized` off: a dead dependency's exception is shown to the caller."""
    platform = naive("gateway.errors.sanitized")
    token = platform.token()
    platform.stop("widget_core", signal.SIGKILL)
    assert "services.resilience.errors" in platform.create(token).text


def test_without_zeroize_nothing_is_wiped(naive):
    """`orb-core.zeroize` off: critical objects are released as they are."""
    platform = naive("orb-core.zeroize")
    token = platform.token()
    path = f"{PATH}/{platform.create(token, json={'critical': True}).json()['id']}"
    platform.call("DELETE", path, token=token)
    memory = lambda: platform.call("GET", "/memory", service="orb_core").json()  # noqa: E731 - short
    wait_until(lambda: memory()["critical_deallocations"] == 1)
    assert memory()["zeroized"] == 0
