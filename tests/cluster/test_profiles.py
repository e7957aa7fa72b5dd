"""The profiles with the plugins that they name: `make cluster` adds these; without them, skipped."""

import dataclasses
import importlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from workflow.test_graph import blocks
from workflow.test_s3 import KEYS, endpoint  # noqa: F401

ROOT = Path(__file__).parents[2]
PLUGIN = "snakemake_executor_plugin_"
MISSING = [
    name for name in ("slurm", "kubernetes") if importlib.util.find_spec(PLUGIN + name) is None
]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"`make cluster` adds what this needs: no {MISSING}"),
]


def profile(executor: str) -> dict:
    return yaml.safe_load((ROOT / f"profiles/{executor}/config.yaml").read_text())


@pytest.mark.parametrize("executor", ["slurm", "kubernetes"])
def test_what_a_profile_says_to_its_plugin_is_a_setting_of_the_plugin(executor):
    plugin = importlib.import_module(PLUGIN + executor)
    known = {field.name for field in dataclasses.fields(plugin.ExecutorSettings)}
    said = {key for key in profile(executor) if key.startswith(f"{executor}-")}
    assert {key.removeprefix(f"{executor}-").replace("-", "_") for key in said} <= known


def test_the_slurm_profile_plans_the_study(copy):
    said = copy.snakemake("train", "-n", "--workflow-profile", "profiles/slurm")
    assert all("mem_mb=" in block and "runtime=" in block for block in blocks(said, "train_arm"))


@pytest.mark.skipif(
    importlib.util.find_spec("moto") is None, reason="`make test-cluster` adds moto"
)
def test_the_kubernetes_profile_plans_the_study_with_results_in_a_bucket(copy, endpoint):  # noqa: F811
    bucket = "import boto3, sys; boto3.client('s3', endpoint_url=sys.argv[1]).create_bucket(Bucket='bucket')"
    subprocess.run([sys.executable, "-c", bucket, endpoint], env={**os.environ, **KEYS}, check=True)
    said = copy.snakemake(
        "joint", "-n", "--workflow-profile", "profiles/kubernetes", "--default-storage-prefix",
        "s3://bucket/x", "--storage-s3-endpoint-url", endpoint, **KEYS,
    )  # fmt: skip
    (block, *_) = blocks(said, "train_arm")
    assert "s3://bucket/x/results/testbed/train/joint" in block and "scale=0" in block


def test_a_pod_asks_for_what_its_rule_states_and_gets_no_more(monkeypatch):
    """The plugin's own pod, given to a server that only notes it, in the form that servers check."""
    kubernetes = pytest.importorskip("kubernetes")
    from snakemake_executor_plugin_kubernetes import Executor

    sent = []
    pod = object.__new__(Executor)
    nothing = {"k8s_service_account_name": None, "privileged": False, "persistent_volumes": []}
    api = SimpleNamespace(create_namespaced_job=lambda _, body: sent.append(body))
    vars(pod).update(
        nothing, run_namespace="n", container_image="i", namespace="default", k8s_cpu_scalar=0.95,
        secret_envvars={}, batchapi=api, logger=SimpleNamespace(debug=print, info=print),
        workflow=SimpleNamespace(),
    )  # fmt: skip
    monkeypatch.setattr(Executor, "format_job_exec", lambda *_: "true")
    monkeypatch.setattr(Executor, "_kubernetes_retry", lambda _, call: call())
    monkeypatch.setattr(Executor, "report_job_submission", lambda *_: None)
    stated = {"mem_mb": 2000, "disk_mb": 1500, "runtime": 10, "gpu": 0, "_cores": 2}
    job = SimpleNamespace(
        jobid=1,
        attempt=1,
        is_containerized=False,
        resources=stated | profile("kubernetes")["default-resources"],
    )
    pod.run_job(job)
    body = kubernetes.client.ApiClient().sanitize_for_serialization(sent[0])
    (container,) = body["spec"]["template"]["spec"]["containers"]
    limits = {
        "cpu": "2000m",
        "memory": "2000M",
        "ephemeral-storage": "1500M",
        "nvidia.com/gpu": "0",
    }
    assert container["resources"] == {"limits": limits, "requests": limits | {"cpu": "1900m"}}
