"""JSON Schema as far as OpenAPI documents of ours use it (a part of draft 2020-12); unknown words are an error, so that nothing is left unchecked."""

TYPES = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
}
REMARKS = {"description", "format", "examples"}


def resolve(document, reference):
    node = document
    for part in reference.removeprefix("#/").split("/"):
        node = node[part]
    return node


def faults(document, schema, value, where="answer"):
    """What is wrong with the value, a list of texts."""
    if schema is True or schema == {}:
        return []
    if "$ref" in schema:
        return faults(document, resolve(document, schema["$ref"]), value, where)
    found = []
    for word, wanted in schema.items():
        if word in REMARKS:
            continue
        if word == "type":
            kinds = wanted if isinstance(wanted, list) else [wanted]
            if not any(TYPES[kind](value) for kind in kinds):
                return [f"{where}: {value!r} is no {wanted}"]
        elif word == "enum":
            if value not in wanted:
                found.append(f"{where}: {value!r} is none of {wanted}")
        elif word == "minimum":
            if value < wanted:
                found.append(f"{where}: {value!r} is below {wanted}")
        elif word == "required":
            if isinstance(value, dict):
                found += [f"{where}: lacks {name}" for name in wanted if name not in value]
        elif word == "properties":
            if isinstance(value, dict):
                for name, part in wanted.items():
                    if name in value:
                        found += faults(document, part, value[name], f"{where}.{name}")
        elif word == "additionalProperties":
            if isinstance(value, dict):
                for name in value.keys() - schema.get("properties", {}).keys():
                    found += [f"{where}: has {name}"] if wanted is False else faults(document, wanted, value[name], f"{where}.{name}")
        elif word == "items":
            if isinstance(value, list):
                for i, one in enumerate(value):
                    found += faults(document, wanted, one, f"{where}[{i}]")
        elif word == "anyOf":
            if all(faults(document, part, value, where) for part in wanted):
                found.append(f"{where}: {value!r} fits none")
        else:
            found.append(f"{where}: the schema has {word}, which nobody checks")
    return found
