"""The clients send what they are told, and answer what came."""

import pytest
import requests
from requests.adapters import BaseAdapter

from services.client import ApiGatewayClient, OrbCoreClient, SecurityServiceClient, WidgetCoreClient, new_key
from services.contract.routes import AUTH_ROUTES, WIDGET_ROUTES

MINE, YOURS = "mine", "yours"
WID = "00000000-0000-0000-0000-000000000001"


class Listener(BaseAdapter):
    """A connection that writes requests down and answers 503."""

    def __init__(self):
        super().__init__()
        self.sent, self.timeouts = [], []

    def send(self, request, **kwargs):
        """Take one request."""
        self.sent.append(request)
        self.timeouts.append(kwargs["timeout"])
        answer = requests.Response()
        answer.status_code, answer.request, answer.url = 503, request, request.url
        return answer

    def close(self):
        """Nothing to close."""


@pytest.fixture
def listener():
    """What is listening at every address."""
    return Listener()


@pytest.fixture
def session(listener):
    """A session that only reaches the listener."""
    with requests.Session() as session:
        session.mount("http://", listener)
        yield session


def test_an_answer_is_returned_whatever_it_says_and_nothing_is_repeated(listener, session):
    """503 is a response like any other, after one request with a timeout."""
    client = ApiGatewayClient("http://gateway:8080/", session=session, timeout_s=2.0)
    assert client.create_widget({"name": "a"}, key="k").status_code == 503
    assert [(r.method, r.url) for r in listener.sent] == [("POST", "http://gateway:8080/api/v1/widgets")]
    assert listener.timeouts == [2.0]


def test_tokens_keys_and_versions_become_headers(listener, session):
    """The client's token, a token for one call, the key, and the version as an ETag."""
    client = WidgetCoreClient("http://core", token=MINE, session=session)
    client.replace_widget(WID, {"name": "a"}, match=3, key="k")
    client.delete_widget(WID, match='"3-pending"', token=YOURS)
    client.with_token(None).list_widgets(limit=5)
    first, second, third = (request.headers for request in listener.sent)
    assert (first["Authorization"], first["If-Match"], first["Idempotency-Key"]) == ("Bearer mine", '"3"', "k")
    assert (second["Authorization"], second["If-Match"]) == ("Bearer yours", '"3-pending"')
    assert "Authorization" not in third
    assert listener.sent[2].url == "http://core/api/v1/widgets?limit=5"


def test_the_gateway_client_covers_the_whole_public_api(listener, session):
    """Each route of the contract has a method."""
    client = ApiGatewayClient("http://gateway", session=session)
    client.create_widget({})
    client.create_widgets([])
    client.list_widgets()
    client.get_widget(WID, min_version=2)
    client.replace_widget(WID, {}, match=1)
    client.update_widget(WID, {})
    client.delete_widget(WID)
    client.get_native(WID)
    client.register_user({})
    client.login({})
    client.refresh("r")
    client.logout()
    client.me()
    client.set_role(WID, "viewer")
    client.rotate_key()
    sent = {(request.method, request.path_url.split("?")[0].replace(WID, "{}")) for request in listener.sent}
    routes = [*WIDGET_ROUTES, *AUTH_ROUTES]
    assert sent == {(route.method, route.path.replace("{wid}", "{}").replace("{user_id}", "{}")) for route in routes}


def test_each_service_has_its_own_questions(listener, session):
    """Keys from security, memory, objects and the reference from ORB Core, health and metrics from all."""
    SecurityServiceClient("http://security", session=session).jwks()
    orb = OrbCoreClient("http://orb", session=session)
    for ask in (orb.memory, orb.objects, orb.ior, orb.health, orb.live, orb.ready, orb.metrics):
        ask()
    paths = ["/.well-known/jwks.json", "/memory", "/objects?after=&limit=1000", "/ior", "/health", "/health/live"]
    assert [request.path_url for request in listener.sent] == [*paths, "/health/ready", "/metrics"]


def test_a_new_key_is_new():
    """A hundred keys are a hundred."""
    assert len({new_key() for _ in range(100)}) == 100
