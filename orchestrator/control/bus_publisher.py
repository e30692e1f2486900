"""What the orchestrator publishes on the observation plane, a few messages a second at most."""

from collections.abc import Sequence

from l3sim.orchestrator.control.watch import View
from l3sim.orchestrator.engine.progress import Span
from l3sim.ports import BusPort, Clock
from l3sim.transport.topics import Publisher, clock_topic, job_topic, metrics_topic, spans_topic
from l3sim.units import PS_PER_S
from l3sim.v1 import bus_pb2

#: Least wall time between two notices of a job's progress.
INTERVAL_S = 0.2
#: Spans in one message, about 30 bytes each.
BATCH_SPANS = 1000


class BusPublisher:
    """Publishes job notices (retained), the clock, metrics and spans of one machine."""

    def __init__(self, bus: BusPort, machine: str, clock: Clock) -> None:
        self._publisher = Publisher(bus)
        self._machine = machine
        self._clock = clock
        self._due_s = clock.monotonic_s()

    def job(self, view: View) -> None:
        """Publish a job's state, always."""
        record, progress = view.record, view.progress
        notice = bus_pb2.JobNotice(
            job_id=record.job_id,
            state=record.state.value,
            virtual_time_ps=progress.virtual_time_ps,
            requests_done=progress.requests_done,
            requests_total=progress.requests_total,
            output_tokens_done=progress.output_tokens_done,
            output_tokens_total=progress.output_tokens_total,
            error=record.error_message,
        )
        self._publisher.publish(job_topic(self._machine, record.job_id), notice, retain=True)

    def progress(self, view: View) -> None:
        """Publish progress, clock and metrics, unless it was done a moment ago."""
        now_s = self._clock.monotonic_s()
        if now_s < self._due_s:
            return
        self._due_s = now_s + INTERVAL_S
        self.job(view)
        job_id, progress = view.record.job_id, view.progress
        clock = bus_pb2.ClockNotice(job_id=job_id, virtual_time_ps=progress.virtual_time_ps)
        self._publisher.publish(clock_topic(self._machine), clock)
        elapsed_s = progress.virtual_time_ps / PS_PER_S
        metrics = bus_pb2.MetricsNotice(
            job_id=job_id,
            windows=progress.windows,
            iterations=progress.iterations,
            wall_s=progress.wall_s,
            throughput_tokens_per_s=progress.output_tokens_done / elapsed_s if elapsed_s else 0.0,
        )
        self._publisher.publish(metrics_topic(self._machine), metrics)

    def spans(self, job_id: str, slot: str, spans: Sequence[Span]) -> None:
        """Publish the tasks that a slot did."""
        for start in range(0, len(spans), BATCH_SPANS):
            batch = bus_pb2.SpanBatch(
                job_id=job_id,
                spans=[bus_pb2.Span(**span._asdict()) for span in spans[start : start + BATCH_SPANS]],
            )
            self._publisher.publish(spans_topic(self._machine, slot), batch, binary=True)
