"""What the description of the API says of every operation alike."""

from typing import Any

from fastapi import FastAPI

ERROR = {
    "type": "object",
    "required": ["error", "problems", "message"],
    "properties": {
        "error": {"type": "string", "description": "a sentence for whoever asked"},
        "problems": {"type": "array", "items": {"type": "string"}, "description": "parameters it is about"},
        "message": {"type": "string", "description": "the same sentence, where old clients look for it"},
    },
}
# FastAPI would promise a 422 of its own otherwise; here everything wrong is a 400.
RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {
        "description": "Not done, and why",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
}
KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "asked again with the same key, nothing is done and the first answer comes again",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
OPEN = {"/api/0/auth/", "/api/0/agents/enrol/"}


def install(app: FastAPI) -> None:
    made = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            complete(made())
        return made()

    app.openapi = described  # type: ignore[method-assign]


def complete(schema: dict[str, Any]) -> None:
    components = schema.setdefault("components", {})
    components.setdefault("schemas", {})["Error"] = ERROR
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    schema["security"] = [{"token": []}]
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            if path in OPEN:
                operation["security"] = []
            elif method == "post" and "agents" not in operation["tags"]:
                operation.setdefault("parameters", []).append(KEY)
