"""The parts of the integration suite: waiting, measuring, judging."""

from dataclasses import replace
from pathlib import Path

import pytest
import requests

from chaos import config as configuration
from chaos.errors import ConfigError, LabError
from services.client import ServiceClient
from tests.integration.support import performance, planted, readiness, stack
from tests.integration.support.patience import Calm
from tests.integration.support.performance import PerformanceTracker
from tests.integration.support.planted import Verdict
from tests.integration.support.together import together

NOBODY = "http://127.0.0.1:9"


def once(condition, *, what, within_s):
    """Ask once, and give up as if *within_s* had passed."""
    if not condition():
        raise LabError(what)


@pytest.mark.parametrize("name", ["API Gateway", "Widget Core", "ORB Core", "Security Service"])
def test_a_service_that_is_not_there_is_named_with_what_was_last_seen(name):
    """The message is the one that people search for."""
    with pytest.raises(pytest.fail.Exception, match=f"{name} not ready after 60s; {NOBODY}/health last: Connection"):
        readiness.wait_ready({name: NOBODY}, wait=once)


def test_the_waiting_time_can_be_given():
    """Less patience, same message."""
    with pytest.raises(pytest.fail.Exception, match=r"API Gateway not ready after 0\.05s"):
        readiness.wait_ready({"API Gateway": NOBODY}, within_s=0.05)


def test_a_tracker_measures_between_start_and_stop():
    """A duration over the limit fails with the message and both figures."""
    tracker = PerformanceTracker()
    tracker.start()
    assert tracker.stop() == tracker.duration >= 0
    tracker.assert_duration_under(10.0, "fine")
    with pytest.raises(AssertionError, match=r"Too slow: took \d\.\d{3} s, expected under 0 s"):
        tracker.assert_duration_under(0, "Too slow")


def test_a_tracker_that_measured_nothing_says_so():
    """Neither a stop without a start nor an assertion without either passes."""
    with pytest.raises(RuntimeError, match="without a start"):
        PerformanceTracker().stop()
    with pytest.raises(RuntimeError, match="measured nothing"):
        PerformanceTracker().assert_duration_under(1.0)


def test_percentiles_are_samples():
    """The median of a hundred is the fiftieth, the 99th percentile the ninety-ninth."""
    samples = [float(number) for number in range(1, 101)]
    assert [performance.percentile(samples, share) for share in (0.5, 0.99, 1.0)] == [50.0, 99.0, 100.0]
    assert performance.percentile([7.0], 0.5) == 7.0


def test_the_table_has_every_operation_with_its_target():
    """What was not measured shows a dash, and what workers measured is put together."""
    samples = {"ORB Call": [0.001]}
    performance.merge(samples, {"ORB Call": [0.003], "Widget Update": [0.010]})
    lines = performance.table(samples)
    assert lines[0].split() == ["Operation", "Target", "p50", "p99", "n"]
    assert [line[:22].strip() for line in lines[1:]] == list(performance.TARGETS)
    assert lines[4].split() == ["ORB", "Call", "<", "500", "ms", "1.0", "ms", "3.0", "ms", "2"]
    assert lines[1].split()[-3:] == ["-", "-", "0"]


def test_only_an_assertion_of_the_test_itself_makes_it_red():
    """A pass survived; whatever else happens, such as waiting in vain, judges nothing and says why."""
    report = """<testsuites><testsuite>
        <testcase name="a">
            <properties><property name="raised" value="AssertionError"/></properties><failure message="assert 1 == 2"/>
        </testcase>
        <testcase name="b"/>
        <testcase name="c"><error message="no platform"/></testcase>
        <testcase name="d"><skipped message="no ptrace"/></testcase>
        <testcase name="e">
            <properties><property name="raised" value="LabError"/></properties><failure message="gave up&#10;after"/>
        </testcase>
    </testsuite></testsuites>"""
    assert planted.verdicts_of(report) == {
        "a": Verdict(kind=planted.RED),
        "b": Verdict(kind=planted.SURVIVED),
        "c": Verdict(kind=planted.BROKEN, why="error: no platform"),
        "d": Verdict(kind=planted.BROKEN, why="skipped: no ptrace"),
        "e": Verdict(kind=planted.BROKEN, why="gave up"),
    }


PROJECT = """
import sys
sys.path.insert(0, {root!r})
from tests.integration.conftest import pytest_runtest_makereport
"""
TESTS = """
import os, time

def planted(name):
    return name in os.environ.get("PLATFORM_PLANT", "") + os.environ.get("RESILIENCE_DISABLE", "")

def test_notices():
    assert not planted("widget-core")

def test_blind():
    pass

def test_flaky():
    assert False

def test_hangs():
    if planted("widget-core.cache"):
        raise TimeoutError("waited in vain")
"""


def test_tests_are_judged_only_when_they_are_green_without_the_defect(tmp_path):
    """Red by its own assertion, surviving, red anyway, and red by another exception are told apart."""
    (tmp_path / "conftest.py").write_text(PROJECT.format(root=str(Path(__file__).parents[3])))
    (tmp_path / "test_it.py").write_text(TESTS)
    names = ["notices", "blind", "flaky", "hangs"]
    tests = [f"test_it.py::test_{name}" for name in names]
    judged = list(planted.judge(tmp_path, {"widget-core.cache": tests}))
    assert [line.verdict.kind for line in judged] == [planted.RED, planted.SURVIVED, planted.BROKEN, planted.BROKEN]
    assert [line.verdict.why for line in judged[2:]] == [
        "without the defect: fails",
        "TimeoutError: waited in vain",
    ]
    assert planted.table(judged)[3].endswith("test_hangs  (TimeoutError: waited in vain)")


def test_a_run_that_is_not_over_in_time_is_not_judged(tmp_path):
    """The rest of the table is still made."""
    (tmp_path / "test_it.py").write_text("def test_anything():\n    pass\n")
    (line,) = planted.judge(tmp_path, {"widget-core.cache": ["test_it.py::test_anything"]}, within_s=0.01)
    assert line.verdict == Verdict(kind=planted.BROKEN, why="without the defect: not over after 0.01 s")


def test_a_defect_is_planted_by_its_own_variable_or_by_switching_a_safeguard_off():
    """Both at once when they are joined."""
    joined = planted.environment("widget-core.cache.versioned + widget-core.cache.late_put")
    assert joined == {
        "PLATFORM_PLANT": "widget-core.cache.late_put",
        "RESILIENCE_DISABLE": "widget-core.cache.versioned",
    }


@pytest.mark.parametrize("name", list(stack.URLS))
def test_one_url_attaches_the_suite(name):
    """Any of the four is enough; an empty one is none."""
    assert stack.is_attached({name: "http://localhost:1"})
    assert not stack.is_attached({name: ""})


def test_threads_begin_together_and_their_results_keep_their_order():
    """Twenty of them, and an error of one is everybody's."""
    assert together(lambda number: number) == list(range(20))
    with pytest.raises(ZeroDivisionError):
        together(lambda number: 1 // (number - 3))


@pytest.fixture
def config():
    """This project's configuration."""
    return configuration.load(Path(__file__).parents[3])


def test_stores_that_are_not_ours_to_empty_are_refused_all_at_once(config):
    """Neither a host elsewhere nor a database that is not made for tests, and the error says what to do."""
    found = {"POSTGRES_HOST": "db.example.org", "POSTGRES_DB": "shop", "REDIS_HOST": "cache.example.org"}
    with pytest.raises(ConfigError) as error, stack.attached(config, found):
        pass
    assert len(error.value.problems) == 3
    for part in (
        "POSTGRES_HOST='db.example.org'",
        "REDIS_HOST='cache.example.org'",
        "allow-hosts",
        "POSTGRES_DB='shop'",
    ):
        assert part in str(error.value)


def test_stores_elsewhere_are_taken_when_they_are_allowed(config):
    """With the host listed and a database for tests the suite attaches; Redis has no password unless it is given."""
    settings = config.settings.model_copy(update={"allow_hosts": ("db.example.org",)})
    found = {"POSTGRES_HOST": "db.example.org", "POSTGRES_DB": "shop_test"}
    with stack.attached(replace(config, settings=settings), found) as platform:
        assert (platform.postgres["host"], platform.redis["password"]) == ("db.example.org", None)


def test_the_metrics_of_orb_core_are_on_its_own_host(config):
    """ORB_METRICS_URL is needed only for another port."""
    with stack.attached(config, {"ORB_CORE_URL": "http://orb.example.org:12000"}) as platform:
        assert platform.orb_metrics == "http://orb.example.org:9091"


class Counting(ServiceClient):
    """A service whose calls have failed so often."""

    failed = 0

    def metrics(self):
        answer = requests.Response()
        answer._content = (
            "# TYPE resilience_calls_total counter\n"
            'resilience_calls_total{edge="e",outcome="ok"} 7\n'
            f'resilience_calls_total{{edge="e",outcome="timeout"}} {self.failed}\n'
        ).encode()
        return answer


def test_a_wrong_answer_is_looked_at_again_only_after_a_call_that_failed():
    """Whoever is wrong on a calm platform is wrong at once; after a failed call the workflow is run anew."""
    service, rounds = Counting(NOBODY), []

    def wrong():
        rounds.append(1)
        raise AssertionError

    with pytest.raises(AssertionError):
        Calm(service)(wrong)
    assert len(rounds) == 1

    def wrong_when_disturbed():
        rounds.append(1)
        service.failed += len(rounds) < 4
        assert len(rounds) == 4

    Calm(service)(wrong_when_disturbed)
    assert len(rounds) == 4


def test_what_one_test_measures_is_judged_alone():
    """Two trackers share nothing; the table is made of both."""
    first, second = PerformanceTracker(), PerformanceTracker()
    first.samples["ORB Call"].append(9.0)
    second.samples["ORB Call"].append(0.1)
    assert second.percentile("ORB Call", 1.0) == 0.1
