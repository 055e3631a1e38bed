"""Holds events against the schema of OCSF.

    validate.py events            reads a line of JSON for each event, and prints what is wrong with each
    validate.py schema CLASS      prints the JSON Schema of a class, as it lies in tests/data/ocsf

JSON Schema comes from ocsf-json-schema and is checked by jsonschema. That says nothing of captions, of type_uid, of
deprecated attributes and of profiles, and takes `127.0.0` for an address; these are checked here, by the same schema of
OCSF.
"""

import ipaddress
import json
import sys

from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

VERSION = "1.8.0"
PROFILES = {
    "http_activity": ["cloud", "network_proxy", "security_control", "trace"],
    "network_activity": ["cloud", "network_proxy", "security_control"],
}

OCSF = get_ocsf_schema(VERSION)
JSON_SCHEMAS = OcsfJsonSchemaEmbedded(OCSF)
NAMES = {entry["uid"]: name for name, entry in OCSF["classes"].items()}


def main(command, *arguments):
    if command == "schema":
        (name,) = arguments
        print(json.dumps(JSON_SCHEMAS.get_class_schema(name, PROFILES[name]), sort_keys=True, separators=(",", ":")))
        return 0
    assert command == "events" and not arguments, __doc__
    found = False
    for number, line in enumerate(sys.stdin, 1):
        for fault in faults(line):
            found = True
            print(f"{number}: {fault}")
    return int(found)


def faults(line):
    try:
        event = json.loads(line, object_pairs_hook=without_doubles, parse_constant=no_json)
    except ValueError as error:
        return [f"is no JSON: {error}"]
    name = NAMES.get(event.get("class_uid"))
    if name is None:
        return [f"class_uid {event.get('class_uid')!r} is no class"]
    return list(faults_of(event, name))


def faults_of(event, name):
    ocsf_class = OCSF["classes"][name]
    metadata = event.get("metadata", {})
    profiles = metadata.get("profiles", [])
    validator = Draft202012Validator(json_schema(name, tuple(profiles)))
    for error in sorted(validator.iter_errors(event), key=str):
        yield f"{'/'.join(map(str, error.absolute_path))}: {error.message}"
    if metadata.get("version") != VERSION:
        yield f"metadata/version: {metadata.get('version')!r} is not {VERSION}"
    for profile in set(profiles) - set(ocsf_class["profiles"]):
        yield f"metadata/profiles: {profile} is no profile of {name}"
    type_uid = event.get("class_uid", 0) * 100 + event.get("activity_id", 0)
    if event.get("type_uid") != type_uid:
        yield f"type_uid: {event.get('type_uid')} is not class_uid * 100 + activity_id, {type_uid}"
    if "duration" in event and event["end_time"] - event["start_time"] != event["duration"]:
        yield "duration: is not end_time - start_time"
    yield from faults_of_object(event, ocsf_class, "")


def faults_of_object(value, description, place):
    """What JSON Schema does not say of an object, and of those in it."""
    attributes = description["attributes"]
    one_of = description.get("constraints", {}).get("at_least_one", [])
    if one_of and not any(attribute in value for attribute in one_of):
        yield f"{place}: has none of {', '.join(one_of)}"
    for name, inner in value.items():
        attribute, at = attributes.get(name), f"{place}/{name}".lstrip("/")
        if attribute is None:
            # JSON Schema has said so, unless the object takes anything.
            continue
        if attribute.get("@deprecated"):
            yield f"{at}: is deprecated: {attribute['@deprecated']['message']}"
        if attribute.get("sibling") and attribute.get("enum"):
            yield from faults_of_caption(inner, attribute, value.get(attribute["sibling"]), at)
        if attribute["type"] == "ip_t" and not is_address(inner):
            yield f"{at}: {inner!r} is no IP address"
        if attribute["type"] == "object_t":
            for item in inner if attribute.get("is_array") else [inner]:
                if isinstance(item, dict):
                    yield from faults_of_object(item, OCSF["objects"][attribute["object_type"]], at)


def faults_of_caption(number, attribute, caption, at):
    meaning = attribute["enum"].get(str(number))
    if meaning is None:
        yield f"{at}: {number} is none of {', '.join(sorted(attribute['enum'], key=int))}"
    elif not caption:
        yield f"{at}: {attribute['sibling']} is missing"
    elif meaning["caption"] == "Other":
        # What the source calls it; a caption of another number would say something else.
        captions = {other["caption"] for other in attribute["enum"].values()} - {"Other"}
        if caption in captions:
            yield f"{at}: {number} is Other, and {attribute['sibling']} is {caption!r}"
    elif meaning["caption"] != caption:
        yield f"{at}: {number} is {meaning['caption']!r}, and {attribute['sibling']} is {caption!r}"


def is_address(text):
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def json_schema(name, profiles, made={}):
    if (name, profiles) not in made:
        made[name, profiles] = JSON_SCHEMAS.get_class_schema(name, list(profiles))
        Draft202012Validator.check_schema(made[name, profiles])
    return made[name, profiles]


def without_doubles(pairs):
    keys = [key for key, _ in pairs]
    if len(keys) != len(set(keys)):
        raise ValueError(f"a key stands there twice: {keys}")
    return dict(pairs)


def no_json(constant):
    raise ValueError(f"{constant} is no number")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
