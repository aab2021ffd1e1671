"""Traces are exported as the standard variables say, and a wrong one is refused by its name."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from handrail.refused_settings import BAD_SETTINGS
from handrail.tracing.export import FLUSH_SECONDS, is_wanted
from tests.runtime.conftest import ROOT
from tests.tracing.collector import collecting

AT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
ONE_SPAN = """
from handrail.process_exit import run_and_leave
from handrail.tracing import export, spans
def work():
    export.start("test")
    with spans.started("work", spans.context_of("")):
        pass
    return 7
run_and_leave(work)
"""


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        (AT, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://collector.example/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({**AT, "OTEL_SDK_DISABLED": "TRUE"}, False),
        ({**AT, "OTEL_TRACES_EXPORTER": "none"}, False),
        (
            {
                **AT,
                "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
                "OTEL_TRACES_SAMPLER_ARG": "0.1",
            },
            True,
        ),
    ],
)
def test_it_is_on_where_a_collector_is_named(environment: dict[str, str], *, wanted: bool) -> None:
    assert is_wanted(environment) == wanted


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://[::1"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_TRACES_SAMPLER", "often"),
        ("OTEL_BSP_SCHEDULE_DELAY", "soon"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "99999999999"),
    ],
)
def test_a_wrong_variable_ends_the_process_with_its_name(
    name: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        is_wanted({**AT, name: value})
    assert ended.value.code == BAD_SETTINGS
    assert capsys.readouterr().err.startswith(f"{name}: must be ")


@pytest.mark.parametrize("ratio", ["", "2", "ten per cent", "nan"])
def test_a_ratio_is_from_nothing_to_all(ratio: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        is_wanted({**AT, "OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": ratio})
    assert capsys.readouterr().err.startswith("OTEL_TRACES_SAMPLER_ARG: ")


def run(endpoint: str, first: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", first + ONE_SPAN],
        cwd=ROOT,
        env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_process_that_ends_has_exported_its_spans() -> None:
    with collecting() as collector:
        done = run(collector.address)
    assert done.returncode == 7, done.stderr
    assert [(one.process, one.name) for one in collector.spans] == [("handrail-test", "work")]


def test_without_the_extra_a_process_says_what_to_install() -> None:
    done = run(
        AT["OTEL_EXPORTER_OTLP_ENDPOINT"], "import sys\nsys.modules['opentelemetry.sdk'] = None\n"
    )
    said = "opentelemetry.sdk: not installed; pip install 'handrail[otel]'\n"
    assert (done.returncode, done.stderr) == (BAD_SETTINGS, said)


@pytest.mark.thorough
def test_a_process_ends_in_time_though_its_collector_is_away() -> None:
    began = time.monotonic()
    without = run("")
    base = time.monotonic() - began
    began = time.monotonic()
    done = run("http://127.0.0.1:9")
    assert (without.returncode, done.returncode) == (7, 7)
    assert time.monotonic() - began < 3 * base + FLUSH_SECONDS + 2
