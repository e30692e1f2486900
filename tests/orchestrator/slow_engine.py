"""One replica by the rules of docs/time.md and docs/policies.md, a round at a time: slow, plain, no windows.

Imports nothing of the orchestrator. Time is walked by the brute-force timeline; what rounds cost comes from a
`meter` (`tests.orchestrator.meter`). Policies `serial` and `fill` only.

    enqueue, release, preempt, admit ── round ── join ── round ── join ── (scheduling point) enqueue, ...
"""

from collections.abc import Sequence

from tests.orchestrator.engine.timeline.brute_force import Machine as TimeRules
from tests.orchestrator.engine.timeline.brute_force import Request as TimedRequest
from tests.orchestrator.engine.timeline.brute_force import Simulation
from tests.orchestrator.meter import Meter, PassWork, WorkChunk
from tests.orchestrator.slow_memory import SlowMemory
from tests.orchestrator.slow_state import Counts, Life, SlowRules

FAR = 2**62


class SlowReplica(SlowMemory):
    """Run with `run`; then `lives` and `counts` tell what happened."""

    def __init__(self, rules: SlowRules, meter: Meter, lives: Sequence[Life], clients: int | None) -> None:
        super().__init__(rules, meter)
        self.lives, self.counts = lives, Counts()
        self.now = 0
        self.idle = True
        cut = len(lives) if clients is None else clients
        self.coming, self.later = list(lives[:cut]), list(lives[cut:])
        self.waiting: list[Life] = []
        self.gpu_booked: dict[Life, int] = {}
        self.leaving: list[tuple[set[str], int]] = []
        time = TimeRules(meter.model.layers, meter.ranksets, rules.overlap, rules.half_duplex)
        self.sim = Simulation(time)
        self.rounds = 0
        #: What this run came to, for the statistics of the cases.
        self.reached: set[str] = set()

    # -- the loop ------------------------------------------------------------------------------------

    def run(self) -> None:
        """Live until no request waits, comes or runs."""
        while True:
            self.enqueue()
            self.free_gpu()
            self.residents = [life for life in self.residents if life.emitted < life.output]
            dropped = self.preempt()
            passes, blocked = self.plan(dropped)
            self.reached.add(f"blocked by {blocked}")
            if not any(work.decode or work.chunks for work in passes):
                if not self.jump():
                    break
                continue
            arrived = False
            while True:
                self.one_round(passes)
                arrived |= self.enqueue()
                freed = self.free_gpu()
                finished = any(life.emitted == life.output for life in self.residents)
                lacking = any(size > self.rules.room_bytes for size in self.booked().values())
                if finished or lacking or any(work.chunks for work in passes):
                    break
                if (freed and blocked == "gpu") or (arrived and self.where_fits(self.waiting[0])):
                    break
        self.sim.idle(FAR)
        last_stamps = (life.stamps[-1] for life in self.lives)
        self.counts.end_ps = max([span[6] for span in self.sim.spans] + list(last_stamps))

    def enqueue(self) -> bool:
        come = sorted(
            (life for life in self.coming if life.arrival_ps <= self.now),
            key=lambda life: (life.arrival_ps, life.number),
        )
        self.coming = [life for life in self.coming if life not in come]
        for life in come:
            life.target = life.prompt
        self.waiting += come
        self.sort_waiting()
        return bool(come)

    def sort_waiting(self) -> None:
        """The preempted first; each kind as if the urgent had come earlier."""
        aging = self.rules.aging_ps
        self.waiting.sort(
            key=lambda life: (not life.preemptions, life.arrival_ps - aging * life.priority, life.number)
        )

    def numbers(self, life: Life) -> list[int]:
        """Of the blocks that a resident books."""
        return [number for _, _, number in self.blocks(life, self.booking(life, life.at))]

    def preempt(self) -> list[Life]:
        dropped = []
        while over := [at for at, size in self.booked().items() if size > self.rules.room_bytes]:
            rank = min(over)
            users = [one for one in self.residents if rank in self.bytes_on(one.at, self.numbers(one))]
            life = users[-1]
            self.residents.remove(life)
            dropped.append(life)
            life.recomputed += life.held
            life.preemptions += 1
            life.held, life.target = 0, life.prompt + life.emitted
            self.close_gpu(life)
        self.waiting += dropped
        self.sort_waiting()
        return dropped

    def jump(self) -> bool:
        """Nothing runs: go on to what comes next."""
        times = [life.arrival_ps for life in self.coming]
        if self.waiting:
            self.sim.idle(self.now)
            times += [event[0] for event in self.sim._events]
        if not times:
            assert not self.waiting
            return False
        self.reached.add("waits idle for a transfer" if self.waiting else "idle")
        self.sim.idle(min(times))
        self.now = max(self.now, min(times))
        self.idle = True
        return True

    # -- plans ---------------------------------------------------------------------------------------

    def plan(self, dropped: list[Life]) -> tuple[list[PassWork], str]:
        passes = [PassWork() for _ in range(1 if self.rules.policy == "serial" else 2)]
        decoding = [life for life in self.residents if life.decoding]
        for life in [one for one in self.residents if one not in decoding]:
            if not self.give(passes, life):
                blocked = "chunk"
                break
        else:
            blocked = self.admit(passes, dropped)
        for life in sorted(decoding, key=lambda life: (-life.held, life.number)):
            fullness = [
                (self.fullest_with(work.decode, life), sum(o.held for o in work.decode)) for work in passes
            ]
            passes[fullness.index(min(fullness))].decode.append(life)
        if self.rules.policy == "serial":
            passes.append(PassWork())
        return passes, blocked

    def admit(self, passes: list[PassWork], dropped: list[Life]) -> str:
        while self.waiting:
            life = self.waiting[0]
            whole = life.target * self.meter.model.kv_bytes_per_token
            unchunked = whole > self.rules.gpu_room_bytes
            needed = life.target * self.meter.model.layer_kv_bytes if unchunked else whole
            free = self.rules.gpu_room_bytes - sum(self.gpu_booked.values())
            free -= sum(size for _, size in self.leaving)
            if life in dropped:
                return "barred"
            if needed > free or (unchunked and any(work.chunks for work in passes)):
                return "gpu"
            if not unchunked and not self.size(passes, life.target):
                return "chunk"
            place = self.where_fits(life)
            if place is None:
                return "kv"
            self.waiting.remove(life)
            self.reached |= {"shares a prefix"} if self.count_hits(self.counts, life, place) else set()
            self.residents.append(life)
            life.place, life.batches = place, set()
            self.gpu_booked[life] = needed
            if unchunked:
                passes[0].chunks.append(WorkChunk(life, life.target, 0, True))
                passes[0].unchunked = True
                self.reached.add("unchunked")
                return ""
            self.give(passes, life)
        return ""

    def size(self, passes: list[PassWork], rest: int) -> int:
        room = self.rules.max_chunk - min(work.chunk_tokens for work in passes)
        return rest if rest <= room else room - room % 64 if room - room % 64 >= self.rules.min_chunk else 0

    def give(self, passes: list[PassWork], life: Life) -> bool:
        rest = life.target - life.held
        if size := self.size(passes, rest):
            lightest = min(passes, key=lambda work: work.chunk_tokens)
            lightest.chunks.append(WorkChunk(life, size, life.held, size == rest))
        return size > 0

    # -- rounds --------------------------------------------------------------------------------------

    def one_round(self, passes: list[PassWork]) -> None:
        work = {s: one for s, one in enumerate(passes) if one.decode or one.chunks}
        waits = bool(self.waiting or self.coming or self.later)
        costs = self.meter.measure(work, self.counts.busy, self.counts.energy)
        timed = {}
        for s, one in work.items():
            asked = tuple(TimedRequest(life.at[0], frozenset(life.batches)) for life in one.decode)
            timed[s] = costs[s].timed(asked, f"{self.rounds}/{s}", one.unchunked)
        requests = sum(len(one.decode) + len(one.chunks) for one in work.values())
        before = self.rules.before(requests, len(work), self.idle)
        self.counts.add_host(before)
        self.idle = False
        (times,) = self.sim.window([timed], self.now + sum(before.values()), FAR)
        ended, tokens = [], 0
        for s, one in work.items():
            made = len(one.decode) + sum(chunk.last for chunk in one.chunks)
            tokens += made
            stamp = times.end_ps[s] + self.rules.sample_ps + self.rules.output(made)
            self.counts.add_host({"output": self.rules.output(made) if made else 0})
            ended += self.tokens(one, stamp, times.start_ps, f"{self.rounds}/{s}")
        for _, life in sorted((life.stamps[-1], life.number) for life in ended):
            if self.later:
                self.later[0].arrival_ps = self.lives_by_number(life).stamps[-1] + self.rules.think_ps
                self.coming.append(self.later.pop(0))
        batch = sum(len(one.decode) for one in passes)
        self.counts.history.append((self.now, times.join_ps, batch, tokens, waits))
        self.count(times.start_ps, times.join_ps, batch)
        self.now = times.join_ps
        self.rounds += 1
        if self.sim.pending():
            self.reached.add("prefill KV crosses a join")

    def lives_by_number(self, number: int) -> Life:
        return next(life for life in self.lives if life.number == number)

    def tokens(self, work: PassWork, stamp: int, start: int, batch: str) -> list[Life]:
        """Tokens of one pass; the requests that made their last."""
        for life in work.decode:
            life.held += 1
        for chunk in work.chunks:
            life = chunk.life
            life.held += chunk.tokens
            life.batches.add(batch)
            if life.first_round_ps < 0:
                life.first_round_ps = start
        made = work.decode + [chunk.life for chunk in work.chunks if chunk.last]
        for life in made:
            life.emitted += 1
            life.stamps.append(stamp)
        for chunk in work.chunks:
            if chunk.last:
                self.close_gpu(chunk.life)
        return [life for life in made if life.emitted == life.output]

    def count(self, start: int, join: int, decoding: int) -> None:
        counts = self.counts
        counts.iterations.append(join - self.now)
        counts.active_ps += join - start
        counts.batch_time += decoding * (join - self.now)
        counts.max_batch = max(counts.max_batch, decoding)
        self.count_memory(counts, join - self.now)

    def close_gpu(self, life: Life) -> None:
        if life in self.gpu_booked:
            self.leaving.append((set(life.batches), self.gpu_booked.pop(life)))

    def free_gpu(self) -> bool:
        before = len(self.leaving)
        self.leaving = [
            entry for entry in self.leaving if any(self.sim.batch_end(batch) < 0 for batch in entry[0])
        ]
        return len(self.leaving) < before
