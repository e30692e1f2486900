"""Shapes of models from Hugging Face `config.json` files.

    config.json --architectures[0], else model_type--> READERS --> _llama, _gpt2, ... --> ModelShape
                            (this module)                     (families.py, by fields.py)

A field that would change the shape in a way that is not modelled is refused by its name, and so is an
architecture that no family has. Fields that change no shape are not read.
"""

import json
from typing import Any

from l3sim.errors import InvalidInput
from l3sim.specs.hugging_face.families import MODEL_TYPES, READERS
from l3sim.specs.hugging_face.fields import Fields
from l3sim.specs.model import ModelShape, model_from

__all__ = ["shape_from"]


def shape_from(raw: Any, name: str) -> ModelShape:
    """The shape that a configuration describes.

    Args:
        raw: what the JSON file holds.
        name: what the model is called in reports.

    Raises:
        InvalidInput: an architecture that is not known, or a field that is missing, wrong or not modelled;
            the violation's field is the file's.
    """
    if not isinstance(raw, dict):
        raise InvalidInput(("architectures", "missing; the file must hold a Hugging Face configuration"))
    architecture = _architecture(raw)
    fields = Fields(raw)
    fields.refuse("quantization_config")
    fields.refuse("is_encoder_decoder", False)
    fields.refuse("add_cross_attention", False)
    shape = READERS[architecture](fields)
    common = {"default_tp": 0, "learned_positions": 0, "biases": False}
    return model_from({"name": name, "source": f"config.json of {architecture}", **common, **shape})


def _architecture(raw: dict[str, Any]) -> str:
    """A key of READERS: the only architecture that the file lists, or that of its model type."""
    listed, kind = raw.get("architectures"), raw.get("model_type")
    if listed is None and isinstance(kind, str):
        if kind not in MODEL_TYPES:
            known = ", ".join(sorted(MODEL_TYPES))
            raise InvalidInput(("model_type", f"unknown architecture {kind!r} (there are: {known})"))
        return MODEL_TYPES[kind]
    if not isinstance(listed, list) or len(listed) != 1 or not isinstance(listed[0], str):
        raise InvalidInput(("architectures", f"must be a list of one name, got {json.dumps(listed)}"))
    if listed[0] not in READERS:
        # Without a guess at what was meant: all these names end alike.
        known = ", ".join(sorted(READERS))
        raise InvalidInput(("architectures", f"unknown architecture {listed[0]!r} (there are: {known})"))
    return listed[0]
