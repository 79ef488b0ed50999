"""Options of projects, plans and steps as parameters: a field for each, under its own name."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, Field, create_model

from changes.projects.options import OF_PROJECTS, Option

Model = TypeVar("Model", bound=BaseModel)


def with_options(model: type[Model], declared: Mapping[str, Option] = OF_PROJECTS) -> type[Model]:
    """`model` with them added; None is one that was not sent."""
    fields: dict[str, Any] = {
        field_of(name): (str | None, Field(None, alias=name, description=option.help))
        for name, option in declared.items()
    }
    return create_model(model.__name__, __base__=model, __doc__=model.__doc__, **fields)


def field_of(name: str) -> str:
    return name.replace(".", "_").replace("-", "_")


def given(asked: BaseModel, declared: Mapping[str, Option] = OF_PROJECTS) -> dict[str, str]:
    values = {name: getattr(asked, field_of(name)) for name in declared}
    return {name: value for name, value in values.items() if value is not None}
