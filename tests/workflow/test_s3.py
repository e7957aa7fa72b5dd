"""A DVC remote on S3: what is pushed comes back and is current. `make test-s3` adds what this needs."""

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time

import pytest
from workflow.conftest import Folder, steps

MISSING = [name for name in ("moto", "flask", "dvc_s3") if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"`make test-s3` adds what this needs: no {MISSING}"),
]
KEYS = {
    "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1",
}  # fmt: skip


@pytest.fixture
def endpoint():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.2)
    yield f"http://127.0.0.1:{port}"
    server.kill()
    server.wait()


def test_a_study_pushed_to_s3_is_pulled_into_a_fresh_clone_that_computes_nothing(
    finished, endpoint, tmp_path
):
    bucket = "import boto3, sys; boto3.client('s3', endpoint_url=sys.argv[1]).create_bucket(Bucket='bucket')"
    subprocess.run([sys.executable, "-c", bucket, endpoint], env={**os.environ, **KEYS}, check=True)
    study = finished.copied_to(tmp_path / "study")
    assert steps(study.dvc("repro")) == []
    study.git("add", "-A")
    study.git("commit", "-qm", "study")
    study.dvc("remote", "add", "--local", "--default", "shelf", "s3://bucket/x")
    study.dvc("remote", "modify", "--local", "shelf", "endpointurl", endpoint)
    study.run("dvc", "push", **KEYS)
    study.git("clone", "-q", str(study.path), str(tmp_path / "clone"))
    shutil.copy(study.path / ".dvc/config.local", tmp_path / "clone/.dvc/config.local")
    clone = Folder(tmp_path / "clone")
    clone.run("dvc", "pull", **KEYS)
    clone.sync()
    assert "Nothing to be done" in clone.snakemake()
    assert "up to date" in clone.dvc("status")
    assert clone.results() == finished.results()
