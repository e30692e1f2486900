"""The host's stages of a round: what the processors do between two passes of the model.

    the last pass ends                                          the next round starts
            |-- sample --|-- schedule ------------|-- launch --------|
                          schedule_us                launch_us a pass
                          + schedule_request_us
                            a request of the round

    a pass ends                      its tokens are stamped
         |-- sample --|-- output ----------|
                       output_us + output_request_us a token of the pass

Nothing of it overlaps with the GPU: a host that plans ahead while the GPU computes has smaller numbers. After
idleness there is nothing to sample. Tokens of a pass are handed out together.
"""

from dataclasses import dataclass

from l3sim.specs.config import HostConfig
from l3sim.units import PS_PER_US, ps_of

#: Names of the stages, as the report has them.
STAGES = ("sample", "schedule", "launch", "output")


@dataclass(frozen=True, slots=True)
class HostStages:
    """Picoseconds of each stage; keys of the machine file's section `host`."""

    sample_ps: int
    schedule_ps: int
    schedule_request_ps: int
    launch_ps: int
    output_ps: int
    output_request_ps: int

    @classmethod
    def of(cls, host: HostConfig) -> "HostStages":
        """Microseconds become picoseconds; 0 stays 0."""
        names = ("sample", "schedule", "schedule_request", "launch", "output", "output_request")
        return cls(**{f"{name}_ps": ps_of(getattr(host, f"{name}_us"), PS_PER_US) for name in names})

    def scheduling_ps(self, requests: int) -> int:
        """One decision over a round's requests, decoding or prefilling."""
        return self.schedule_ps + self.schedule_request_ps * requests

    def launching_ps(self, passes: int) -> int:
        """Handing a round's passes to the GPU."""
        return self.launch_ps * passes

    def gap_ps(self, requests: int, passes: int) -> int:
        """Between a join and the start of the next round."""
        return self.sample_ps + self.scheduling_ps(requests) + self.launching_ps(passes)

    def handing_out_ps(self, tokens: int) -> int:
        """Handing out the tokens of a pass."""
        return self.output_ps + self.output_request_ps * tokens

    def stamp_ps(self, tokens: int) -> int:
        """Between the end of a pass and the stamps of its tokens."""
        return self.sample_ps + self.handing_out_ps(tokens)


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds a replica's windows, the host's stages among it.

    Attributes:
        max_window: most rounds in a window.
        lookahead: most rounds that every device foresees.
        host: its stages of a round.
        aging_ps: waiting for so long counts like one level of priority.
        steady_ps: between which instants rounds are steady, where that is known beforehand.
    """

    max_window: int
    lookahead: int
    host: HostStages
    aging_ps: int
    steady_ps: tuple[int, int] | None = None
