"""A DVC remote on S3: what is pushed comes back byte for byte. Needs the extra `s3`."""

import importlib.util
import os
import socket
import subprocess
import sys
import time

import pytest

MISSING = [name for name in ("moto", "flask", "dvc_s3") if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"pip install '.[s3]' to test S3: no {MISSING}"),
]
KEYS = {
    "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1",
    "DVC_NO_ANALYTICS": "1",
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


def test_a_push_to_s3_comes_back_byte_for_byte(endpoint, tmp_path):
    env = {**os.environ, **KEYS}

    def run(*command: str, cwd=tmp_path / "one") -> None:
        subprocess.run(command, cwd=cwd, env=env, check=True, capture_output=True)

    (tmp_path / "one/results").mkdir(parents=True)
    content = os.urandom(1 << 20)
    (tmp_path / "one/results/a.bin").write_bytes(content)
    bucket = "import boto3, sys; boto3.client('s3', endpoint_url=sys.argv[1]).create_bucket(Bucket='bucket')"
    run(sys.executable, "-c", bucket, endpoint)
    dvc = (sys.executable, "-m", "dvc")
    git = ("git", "-c", "user.name=test", "-c", "user.email=test@localhost")
    run("git", "init", "-q")
    run(*dvc, "init", "-q")
    run(*dvc, "remote", "add", "-d", "shelf", "s3://bucket/x")
    run(*dvc, "remote", "modify", "shelf", "endpointurl", endpoint)
    run(*dvc, "add", "results")
    run(*git, "add", "-A")
    run(*git, "commit", "-qm", "one")
    run(*dvc, "push")
    run("git", "clone", "-q", str(tmp_path / "one"), str(tmp_path / "two"), cwd=tmp_path)
    run(*dvc, "pull", cwd=tmp_path / "two")
    assert (tmp_path / "two/results/a.bin").read_bytes() == content
