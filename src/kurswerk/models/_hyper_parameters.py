"""Hyper-parameters of a model family: defaults, ranges, form fields and JSON Schema from one declaration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, ValidationError

from kurswerk.core.errors import SpecError, UnknownNameError
from kurswerk.core.messages import Message


def _as_number(value: object) -> object:
    # Pydantic would take true for 1 and "5" for 5; both are more often a slip than meant.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("not a number")  # noqa: TRY004 - pydantic collects ValueError alone
    return value


NUMBERS_ONLY = BeforeValidator(_as_number)
Integer = Annotated[int, NUMBERS_ONLY]
"""A whole number; 20.0 is taken for 20."""
Number = Annotated[float, NUMBERS_ONLY]
"""A finite number."""
Flag = StrictBool
"""True or false."""


def parameter(default: Any, title: str, description: str, *, basic: bool = False, **bounds: Any) -> Any:
    """Declare a hyper-parameter.

    Parameters
    ----------
    default
        What it is where nothing is given.
    title, description
        What forms and the API's documentation show; plain English, translated where they are shown.
    basic
        Whether forms offer it; the others are set in the specification's JSON.
    bounds
        ``ge``, ``gt``, ``le``, ``lt`` as in `pydantic.Field`.
    """
    return Field(default, title=title, description=description, json_schema_extra={"basic": basic}, **bounds)


def random_state() -> Any:
    """Declare the seed that every family has: of its own random choices and of resampling."""
    return parameter(42, "Random seed", "The same seed gives the same model.", ge=0, le=2**31 - 1)


# By JSON Schema's type, and by whether null is allowed too.
_ALLOWED = {
    ("number", False): "model.allowed_number",
    ("number", True): "model.allowed_number_or_null",
    ("integer", False): "model.allowed_integer",
    ("integer", True): "model.allowed_integer_or_null",
}


@dataclass(frozen=True)
class FormField:
    """A hyper-parameter as a form shows it.

    Attributes
    ----------
    name, title, description
        Key in ``params``, and what stands beside the field, in English.
    kind
        ``number``, ``integer``, ``flag`` or ``choice``.
    default
        Value where the field is left empty.
    low, high
        Bounds of a number; None where there is none.
    choices
        What a choice may be.
    """

    name: str
    title: str
    description: str
    kind: str
    default: Any
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()


class HyperParameters(BaseModel):
    """Hyper-parameters of one family; fields are declared with `parameter`, the last one is the ``random_state``.

    Examples
    --------
    >>> class Params(HyperParameters):
    ...     C: Number = parameter(1.0, "Inverse regularisation", "Smaller is simpler.", basic=True, gt=0, le=1e6)
    ...     random_state: Integer = random_state()
    >>> Params.complete("example", {"C": 2}).model_dump()
    {'C': 2.0, 'random_state': 42}
    >>> Params.complete("example", {"C": 0})
    Traceback (most recent call last):
    ...
    kurswerk.core.errors.SpecError: parameter 'C' is 0; allowed: a number in (0, 1e+06]
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    _KINDS: ClassVar[Mapping[str, str]] = {"integer": "integer", "number": "number", "boolean": "flag"}

    @classmethod
    def complete(cls, model_type: str, given: Mapping[str, Any]) -> Self:
        """Check what is given and fill in the defaults.

        Raises
        ------
        UnknownNameError
            For a parameter the family does not have; names the nearest.
        SpecError
            For a value out of its range; names parameter, value and range.
        """
        for name in given:
            if name not in cls.model_fields:
                raise UnknownNameError(
                    "model_type.unknown_parameter", name=str(name), known=cls.model_fields, model_type=model_type
                )
        try:
            return cls.model_validate(dict(given))
        except ValidationError as error:
            name = str(error.errors(include_url=False)[0]["loc"][0])
            # From nothing: this message replaces pydantic's, which names types of Python.
            raise SpecError(
                "model.parameter_out_of_range", parameter=name, value=given[name], allowed=cls.allowed(name)
            ) from None

    @classmethod
    def allowed(cls, name: str) -> Message:
        """Return what a parameter may be, such as ``an integer in [1, 24] or null``."""
        options = _options(cls.model_json_schema()["properties"][name])
        for choice in (option for option in options if "enum" in option):
            share = next(option for option in options if option.get("type") == "number")
            return Message("model.allowed_choice", choices=choice["enum"], interval=_interval(share))
        if options[0]["type"] == "boolean":
            return Message("model.allowed_boolean")
        code = _ALLOWED[options[0]["type"], len(options) > 1]
        return Message(code, interval=_interval(options[0]))

    @classmethod
    def form_fields(cls) -> tuple[FormField, ...]:
        """Return the basic parameters in the order of their declaration."""
        properties = cls.model_json_schema()["properties"]
        return tuple(cls._form_field(name, schema) for name, schema in properties.items() if schema["basic"])

    @classmethod
    def _form_field(cls, name: str, schema: Mapping[str, Any]) -> FormField:
        option = _options(schema)[0]
        choices = tuple(option.get("enum", ()))
        return FormField(
            name=name,
            title=schema["title"],
            description=schema["description"],
            kind="choice" if choices else cls._KINDS[option["type"]],
            default=schema["default"],
            low=option.get("minimum", option.get("exclusiveMinimum")),
            high=option.get("maximum", option.get("exclusiveMaximum")),
            choices=choices,
        )


def _options(schema: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the alternatives of a JSON Schema."""
    options: Sequence[Mapping[str, Any]] = schema.get("anyOf", (schema,))
    return options


def _interval(option: Mapping[str, Any]) -> str:
    opening, low = ("(", option["exclusiveMinimum"]) if "exclusiveMinimum" in option else ("[", option["minimum"])
    return f"{opening}{low:g}, {option['maximum']:g}]"
