"""The whole job on a Ray cluster, through Ray's job API."""

import shlex
import tempfile
import time
from pathlib import Path
from typing import Any

import requests
from ray.exceptions import AuthenticationError, RayError
from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient

from memrec_core.errors import InputError, in_a_line
from workflows.duration import duration
from workflows.errors import JobError
from workflows.experiment.resolved import Experiment
from workflows.job.request import Request
from workflows.terminal import console, say

POLL_S = 2.0
SILENCE_S = 600.0
"""How long a cluster that took a job may not answer; a head node that is replaced comes back sooner."""
AGENT_TIMEOUT_S = 30.0
ANSWER_S = 30.0
"""How long a server may take for an answer. Ray's own client would wait for ever."""
NO_ANSWER = (ConnectionError, requests.RequestException, RayError, RuntimeError, ValueError, TypeError, KeyError)
"""What Ray's client makes of a server that does not answer, or whose answer is not the dashboard's."""


class Client(JobSubmissionClient):
    """Ray's, that gives up on a server which never answers."""

    def _do_request(self, *arguments: Any, **options: Any) -> requests.Response:
        return super()._do_request(*arguments, timeout=ANSWER_S, **options)


def submit_job(experiment: Experiment, run: str, request: Request, retry_failed: bool = False) -> None:
    """Submit `memrec run` with the experiment, follow its log, and return when it has succeeded.

    memrec must be installed on the cluster; `run` must be a folder that all its nodes share, or an object store's URI.
    Raises InputError where no cluster answers, and JobError where the job failed or was stopped.
    """
    address = str(request.address)
    _check_place(run)
    client = _connect(address)
    command = ["memrec", "run", "experiment.yaml", "--run", run, "--address", "auto"]
    command += ["--actors", str(request.actors)] if request.actors else []
    command += [] if request.gpus_per_actor is None else ["--gpus-per-actor", str(request.gpus_per_actor)]
    command += ["--retry-failed"] if retry_failed else []
    command += ["--allow-torch-weights"] if any(one.allows_torch_weights for one in experiment.given_models) else []
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "experiment.yaml").write_text(experiment.to_yaml(), encoding="utf-8")
        job = _submit(client, address, shlex.join(command), folder)
    say(f"job {job} on {address}")
    end = _follow(client, job, address)
    if end.status != JobStatus.SUCCEEDED:
        raise JobError(f"job {job} {end.status.value.lower()}: {end.message or ''} (the same command resumes the run)")


def _check_place(run: str) -> None:
    """Raises InputError for a run's folder that would lie in the job's own, which goes with it."""
    if "://" not in run and not Path(run).is_absolute():
        raise InputError(
            f"--run {run} is a path of this machine, and the job runs on the cluster; give the absolute path of a "
            "folder that its nodes share, or a URI: s3://bucket/run"
        )


def _connect(address: str) -> Client:
    if not address.startswith(("http://", "https://")) and address != "auto":
        raise InputError(f"--address {address} is not a Ray dashboard's; give its URL, http://HOST:8265")
    try:
        return Client(address)
    except AuthenticationError as error:
        raise InputError(
            f"the Ray cluster at {address} asks for a token; give its own with RAY_AUTH_MODE=token and RAY_AUTH_TOKEN"
        ) from error
    except NO_ANSWER as error:
        said = "it does not speak as one" if isinstance(error, KeyError | TypeError) else in_a_line(error)
        raise InputError(f"no Ray dashboard answers at {address} ({said}); give its URL, http://HOST:8265") from error


def _submit(client: Client, address: str, command: str, folder: str) -> str:
    """The job's id. A cluster that has just started refuses jobs until its agents are up: worth a little patience."""
    end = time.monotonic() + AGENT_TIMEOUT_S
    while True:
        try:
            return client.submit_job(entrypoint=command, runtime_env={"working_dir": folder})
        except NO_ANSWER as error:
            if "No available agent" not in str(error) or time.monotonic() > end:
                raise InputError(
                    f"the Ray cluster at {address} takes no job ({in_a_line(error)}); look at its dashboard"
                ) from error
        time.sleep(POLL_S)


def _follow(client: Client, job: str, address: str) -> JobDetails:
    """Print the job's log as it grows, until the job has ended. Raises JobError where the cluster falls silent."""
    printed, silent_since = 0, None
    while True:
        try:
            now, log = client.get_job_info(job), client.get_job_logs(job)
        except NO_ANSWER as error:
            if silent_since is None:
                silent_since = time.monotonic()
                say(f"{address} does not answer ({in_a_line(error)}); the job goes on")
            if time.monotonic() - silent_since > SILENCE_S:
                raise JobError(
                    f"{address} has not answered for {duration(SILENCE_S)} ({in_a_line(error)}); job {job} may still "
                    "run: memrec status tells, and the same command resumes"
                ) from error
        else:
            silent_since = None
            console.out(log[printed:], end="", highlight=False)
            printed = len(log)
            if now.status.is_terminal():
                return now
        time.sleep(POLL_S)
