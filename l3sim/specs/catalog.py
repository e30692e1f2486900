"""Files of models, machines and GPUs: where they lie and how they are read.

YAML 1.2 by ruamel.yaml (chosen over PyYAML because it reads `2e12` as a number, keeps `off` a word, and
refuses duplicate keys). Models also come as Hugging Face `config.json`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from l3sim.errors import InvalidInput
from l3sim.kinds import beside, is_file
from l3sim.places import DATA
from l3sim.registry import unknown
from l3sim.specs.choice import DEVICES, ROLES
from l3sim.specs.config import GpuConfig
from l3sim.specs.extends import EXTENDS, MAX_DEPTH, Layers, alone, extended
from l3sim.specs.gpu import FILE_KEY, MACHINE_KEYS, gpu_from, section_with
from l3sim.specs.hugging_face import shape_from
from l3sim.specs.machine import Machine, check_section, entries_of, machine_from
from l3sim.specs.model import ModelShape, model_from

MODELS = DATA / "models"
MACHINES = DATA / "machines"
GPUS = DATA / "gpus"


def model_names() -> list[str]:
    """Names that `load_model` knows."""
    return sorted(path.stem for path in MODELS.glob("*.yaml"))


def machine_names() -> list[str]:
    """Names that `load_machine` knows."""
    return sorted(path.stem for path in MACHINES.glob("*.yaml"))


def gpu_names() -> list[str]:
    """Names that `--gpu` knows."""
    return sorted(path.stem for path in GPUS.glob("*.yaml"))


def is_path(name_or_path: str) -> bool:
    """Whether a model, machine or GPU is given by its file rather than by its name."""
    return "/" in name_or_path or name_or_path.endswith((".yaml", ".yml", ".json"))


def load_model(name_or_path: str) -> ModelShape:
    """Load a model by its name in `models/`, from a YAML file of the same form, or from a `config.json`.

    The model of a `config.json` is called as the folder that it lies in; of any other JSON file, as the file.

    Raises:
        InvalidInput: no such model, or a key that is missing, unknown, not modelled or out of range; one line
            that names the file and the key.
    """
    path = _find("model", name_or_path, MODELS, model_names())
    if path.suffix == ".json":
        return _load_json_model(path)
    try:
        return model_from(_read("model", path))
    except InvalidInput as error:
        raise InvalidInput(("model", f"{path}: {error.violations[0][1]}")) from None


def load_machine(
    name_or_path: str,
    modules: int | None = None,
    gpu: str = "",
    devices: Mapping[str, str] = MappingProxyType({}),
) -> Machine:
    """Load a machine by its name in `machines/`, or from a file of the same form.

    Args:
        modules: how many attention modules it has, instead of the file's number (`L3_MODULES`).
        gpu: name or file of the GPU to put in, instead of the file's (`--gpu`).
        devices: who fills a role, by role, above what the file says of it.

    Raises:
        InvalidInput: no such machine or GPU, or a section or key that is missing, unknown or refused.
    """
    raw = machine_layers(name_or_path, modules, gpu).raw
    if devices:
        raw[DEVICES] = {**raw.get(DEVICES, {}), **devices}
    return machine_from(raw, name_or_path)


def machine_layers(name_or_path: str, modules: int | None = None, gpu: str = "") -> Layers:
    """A machine's entries as `load_machine` checks them, and which file says each; arguments as there.

    Raises:
        InvalidInput: no such machine, base or GPU, or files that build on each other in a circle.
    """
    layers = _stacked(name_or_path, MAX_DEPTH)
    raw, files = layers.raw, dict(layers.files)
    if modules is not None and isinstance(raw.get("attention"), dict):
        raw["attention"] = {**raw["attention"], "modules": {"value": modules, "source": "L3_MODULES"}}
        files["attention.modules"] = "L3_MODULES"
    if isinstance(raw.get("gpu"), dict):
        named = gpu or str(raw["gpu"].get(FILE_KEY, ""))
        below = f"gpus/{named}.yaml" if named in gpu_names() else named
        kept = {key for key in raw["gpu"] if not gpu or key in MACHINE_KEYS}
        raw["gpu"] = _with_gpu(raw["gpu"], name_or_path, gpu)
        for key in raw["gpu"]:
            if key not in kept:
                files[f"gpu.{key}"] = below
    return Layers(raw, files)


def _stacked(name_or_path: str, depth: int, beside: Path | None = None) -> Layers:
    """A machine file and those below it; a path in `extends` is relative to the file that says it."""
    if beside is not None and is_path(name_or_path):
        name_or_path = str(beside / name_or_path)
    path = _find("machine", name_or_path, MACHINES, machine_names())
    file = f"machines/{path.name}" if path.parent == MACHINES else str(path)
    raw = _read("machine", path)
    if not isinstance(raw, dict):
        raise InvalidInput(("machine", f"{path}: must be a mapping of sections"))
    section = raw.get("gpu")
    if isinstance(section, dict) and isinstance(section.get(FILE_KEY), str) and is_path(section[FILE_KEY]):
        raw["gpu"] = {**section, FILE_KEY: str(path.parent / section[FILE_KEY])}
    for role in ROLES:
        _place_kind(raw.get(role), path.parent)
    if EXTENDS not in raw:
        return alone(raw, file)
    if not isinstance(raw[EXTENDS], str):
        raise InvalidInput((EXTENDS, f"{path}: must be the name or path of a machine, got {raw[EXTENDS]!r}"))
    if not depth:
        text = f"{path}: more than {MAX_DEPTH} files build on each other; is it a circle?"
        raise InvalidInput((EXTENDS, text))
    return extended(_stacked(raw[EXTENDS], depth - 1, path.parent), raw, file)


def _place_kind(section: Any, folder: Path) -> None:
    """Where a section's kind is said by a file, that lies relative to the one that says so."""
    entry = section.get("kind") if isinstance(section, dict) else None
    kind = entry.get("value") if isinstance(entry, dict) else entry
    if isinstance(kind, str) and is_file(kind):
        placed = beside(kind, folder)
        section["kind"] = {**entry, "value": placed} if isinstance(entry, dict) else placed


def load_gpu(name_or_path: str) -> dict[str, Any]:
    """The entries that a GPU, by its name in `gpus/` or its file, gives to a machine's gpu section.

    Raises:
        InvalidInput: no such GPU, or a key that is missing, unknown, refused or not in its unit.
    """
    path = _find("gpu", name_or_path, GPUS, gpu_names())
    return gpu_from(_read("gpu", path), str(path))


def gpu_description(name_or_path: str) -> str:
    """What a GPU's file says it is, on one line.

    Raises:
        InvalidInput: as `load_gpu`.
    """
    load_gpu(name_or_path)
    return str(_read("gpu", _find("gpu", name_or_path, GPUS, gpu_names())).get("description", ""))


def load_group(name_or_path: str, gpus: int, settings: Mapping[str, Any]) -> GpuConfig:
    """A gpu section of GPUs without a machine around them, for probes and fits.

    Args:
        gpus: how many.
        settings: values by key, instead of the file's.

    Raises:
        InvalidInput: as `load_gpu`, or a setting that is refused.
    """
    values, _ = entries_of("gpu", load_gpu(name_or_path), name_or_path)
    whole = {"kind": "gpu", **values, **settings, "gpus": gpus, "memory_reserve_share": 0.0}
    checked = check_section("gpu", whole, name_or_path)
    if not isinstance(checked, GpuConfig):
        kind = whole["kind"]
        raise InvalidInput(("gpu.kind", f"{name_or_path}: must be gpu, to be probed or fitted; got {kind!r}"))
    return checked


def _with_gpu(section: dict[str, Any], machine: str, gpu: str) -> dict[str, Any]:
    """A machine file's gpu section, with the GPU file that it names, or that stands in its place."""
    if gpu:
        return section_with(load_gpu(gpu), section, whole=True)
    if FILE_KEY not in section:
        return section
    named = section[FILE_KEY]
    if not isinstance(named, str):
        raise InvalidInput(
            (f"gpu.{FILE_KEY}", f"{machine}: must be the name or path of a GPU, got {named!r}")
        )
    return section_with(load_gpu(named), section, whole=False)


def parse_value(path: str, text: str) -> Any:
    """A value as a person writes it on the command line: a YAML 1.2 scalar.

    Raises:
        InvalidInput: the text is not a scalar.
    """
    try:
        value = YAML(typ="safe", pure=True).load(text)
    except YAMLError:
        raise InvalidInput((path, f"cannot read {text!r} as a value")) from None
    if isinstance(value, dict | list):
        raise InvalidInput((path, f"must be one value, got {text!r}"))
    return value


def _load_json_model(path: Path) -> ModelShape:
    name = path.resolve().parent.name if path.name == "config.json" else path.stem
    try:
        return shape_from(json.loads(path.read_text(encoding="utf-8")), name)
    except ValueError as error:  # also of the encoding
        raise InvalidInput(("model", f"{path}: is not JSON: {error}")) from None
    except InvalidInput as error:
        field, text = error.violations[0]
        where = f"{path}: " if field == "model" else f"{path}: {field}: "
        raise InvalidInput(("model", f"{where}{text}")) from None


def _find(what: str, name_or_path: str, folder: Path, names: list[str]) -> Path:
    path = Path(name_or_path) if is_path(name_or_path) else folder / f"{name_or_path}.yaml"
    if is_path(name_or_path) and not path.is_file():
        raise InvalidInput((what, f"no file {name_or_path!r}"))
    if not path.is_file():
        raise InvalidInput((what, unknown(what, name_or_path, names)))
    return path


def _read(what: str, path: Path) -> Any:
    try:
        return YAML(typ="safe", pure=True).load(path)
    except (YAMLError, UnicodeDecodeError) as error:
        raise InvalidInput((what, f"{path}: {' '.join(str(error).split())}")) from None
