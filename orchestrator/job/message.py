"""From the bytes of a job, as they came or as the journal kept them, to what they mean on this machine."""

from l3sim.errors import InvalidInput
from l3sim.orchestrator.job.resolve import ResolvedJob, resolve
from l3sim.registry import unknown
from l3sim.specs.catalog import model_names
from l3sim.specs.machine import Machine
from l3sim.transport.convert.job import spec_from_proto
from l3sim.v1 import job_pb2


def resolve_message(spec: bytes, machine: Machine) -> ResolvedJob:
    """Resolve a serialised JobSpec.

    Raises:
        InvalidInput: it is malformed or refused. Models of the client's own travel as shapes: a name never
            opens a file of the orchestrator's.
    """
    message = job_pb2.JobSpec.FromString(spec)
    if message.model_name and message.model_name not in model_names():
        raise InvalidInput(("model", unknown("model", message.model_name, model_names())))
    return resolve(spec_from_proto(message), machine)
