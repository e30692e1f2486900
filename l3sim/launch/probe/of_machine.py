"""`./l3 probe attention`: decode attention on a machine's devices, of any kind.

./l3 probe attention --machine ./mine.yaml --model llama-2-7b --batch 16 --context 2048
"""

from l3sim.clients.cli import print_json
from l3sim.clients.groups import grouped
from l3sim.clients.options import JsonOption
from l3sim.launch.probe.modules import Asked


@grouped
def attention(asked: Asked, as_json: JsonOption = False) -> None:
    """Print what one layer of decode attention costs on a machine's devices, whatever their kind."""
    from l3sim.launch.probe.attention import with_attention
    from l3sim.launch.probe.devices import probe
    from l3sim.launch.probe.modules import settings_of
    from l3sim.specs.catalog import load_machine, load_model

    machine = with_attention(load_machine(asked.machine), settings_of({}, asked.settings or []))
    values = probe(machine, load_model(asked.model), asked.batch, asked.context, asked.tp, asked.dp)
    if as_json:
        print_json(values)
        return
    width = max(map(len, values))
    for key, value in values.items():
        print(f"{key:{width}}  {'-' if value is None else value}")
