"""/jobsteps/<id>/reproduce/: what a step was, for who runs it on a machine of his own."""

import base64
from uuid import UUID

import msgspec
from fastapi import APIRouter, Request, Response

from changes.builds import reproduce
from changes.people.rules import Scope
from changes.web import call

api = APIRouter(prefix="/jobsteps", tags=["jobs"])


@api.get("/{step_id:uuid}/reproduce/")
def show_recipe(request: Request, step_id: UUID) -> Response:
    """Checkout, patch, commands, variables, image. Of secrets only the names."""
    with call.begin(request, Scope.READ) as this:
        offer, patch = reproduce.recipe_of(this.session, step_id)
        told = {
            "offer": msgspec.to_builtins(offer),
            "patch": base64.b64encode(patch.diff or b"").decode() if patch is not None else None,
            "ranOn": reproduce.where_it_ran(this.session, step_id),
            "missingSecrets": reproduce.secrets_wanted(this.session, step_id),
        }
        return this.answer(told)
