"""An object store of a test's own that speaks S3, or a skip with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

KEY = "AKIDPLANTEDKEY0042"


@contextmanager
def run_object_store(bucket: str) -> Iterator[str]:
    """The bucket's address; this process, and those that it starts, find it by the environment."""
    server = pytest.importorskip("moto.server", reason="moto is not installed").ThreadedMotoServer
    s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed")
    import boto3

    running = server(port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", KEY)
        patch.setenv("AWS_SECRET_ACCESS_KEY", f"secret-{KEY}")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        boto3.client("s3").create_bucket(Bucket=bucket)
        s3fs.S3FileSystem.clear_instance_cache()  # one of another server's
        yield f"s3://{bucket}"
    running.stop()
