"""The base class of config sections and of other values that come from outside."""

from pydantic import BaseModel, ConfigDict


class Params(BaseModel):
    """Frozen and checked: no unknown keys, no type conversion, no infinity or NaN.

    Subclasses stand next to the algorithm that they configure. The string after a field becomes
    the field's description in the JSON schema and in configs/README.md.
    """

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )
