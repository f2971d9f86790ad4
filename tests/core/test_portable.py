"""The table of an export's documents, and the schema that is made of it."""

from __future__ import annotations

import jsonschema
import pytest

from relayd.core.portable import DOCUMENTS, schema


@pytest.mark.parametrize("name", list(DOCUMENTS))
def test_each_document_has_a_schema(name: str) -> None:
    made = schema(name)
    jsonschema.Draft202012Validator.check_schema(made)
    assert made["description"].endswith(".") and made["items"]["properties"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate([{"password": "x"}], made)


def test_types() -> None:
    fields = schema("sign_ins")["items"]["properties"]
    assert fields["at"] == {"type": "string"} and fields["address"] == {"type": ["string", "null"]}
