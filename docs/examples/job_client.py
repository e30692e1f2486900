"""Submit a job, watch it and read its report, with gRPC and the generated stubs alone.

python docs/examples/job_client.py HOST:PORT
"""

import json
import sys
import time
import uuid
from collections.abc import Iterable

import grpc
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from grpc_status import rpc_status

from l3sim.v1 import job_pb2 as pb
from l3sim.v1 import job_pb2_grpc as pb_grpc

RUNNING = (pb.JOB_STATE_QUEUED, pb.JOB_STATE_RUNNING)


def submit(jobs: pb_grpc.JobServiceStub, request_id: str, workload: str) -> pb.Job:
    """Submit 20 requests; the same request_id again gives the same job, not a second one."""
    generated = pb.GeneratedRequests(requests=20)
    spec = pb.JobSpec(policy="fill", workload=pb.Workload(name=workload, generated=generated))
    request = pb.SubmitJobRequest(request_id=request_id, spec=spec)
    answer: pb.SubmitJobResponse = jobs.SubmitJob(request, timeout=120)
    for warning in answer.warnings:
        print("warning:", warning)
    return answer.job


def watch(jobs: pb_grpc.JobServiceStub, job_id: str) -> pb.Job:
    """Follow a job to its end; after a broken stream, go on behind the last event that was seen."""
    seen = 0
    while True:
        try:
            request = pb.WatchJobRequest(job_id=job_id, after_sequence=seen)
            events: Iterable[pb.WatchJobResponse] = jobs.WatchJob(request)
            for event in events:
                job, seen = event.job, event.job.progress.sequence
                done = f"{job.progress.requests_done} of {job.progress.requests_total} requests"
                print(f"event {seen}: {pb.JobState.Name(job.state)}, {done}")
                if job.state not in RUNNING:
                    return job
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            time.sleep(1)


def explain(error: grpc.RpcError) -> str:
    """What a refused call says: the stable reason, and the fields that are wrong."""
    assert isinstance(error, grpc.Call)
    info, request = ErrorInfo(), BadRequest()
    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        _ = detail.Unpack(info) or detail.Unpack(request)
    fields = "; ".join(f"{bad.field}: {bad.description}" for bad in request.field_violations)
    return f"{error.code().name} {info.reason}: {fields or error.details()}"


def main(address: str) -> None:
    """Do all of it once."""
    with grpc.insecure_channel(address) as channel:
        jobs = pb_grpc.JobServiceStub(channel)
        request_id = uuid.uuid4().hex
        job = submit(jobs, request_id, "fixed:128:64")
        again = submit(jobs, request_id, "fixed:128:64")
        print(f"{job.job_id}, and when submitted again {again.job_id}")
        if watch(jobs, job.job_id).state == pb.JOB_STATE_SUCCEEDED:
            answer = jobs.GetReport(pb.GetReportRequest(job_id=job.job_id), timeout=120)
            report = json.loads(answer.report_json)
            print(f"{report['throughput_tokens_per_s']:.1f} tokens/s")
        try:
            submit(jobs, uuid.uuid4().hex, "fixed:128")
        except grpc.RpcError as error:
            print(explain(error))


if __name__ == "__main__":
    main(sys.argv[1])
