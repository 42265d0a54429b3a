"""A body of pings in each form, for the API's documentation."""

from typing import Any

_PINGS: list[dict[str, Any]] = [
    {
        "device_id": "TAG-00417",
        "fixed_at": "2024-03-01T09:30:00Z",
        "lon": -2.5879,
        "lat": 51.4545,
        "accuracy_m": 8.5,
        "speed_mps": 1.2,
        "direction_deg": 270,
        "source": "gps",
    },
    {"device_id": "TAG-00418", "fixed_at_us": 1709285400000000, "lon": -2.6012, "lat": 51.4601},
]

_PING: dict[str, Any] = {
    "type": "object",
    "required": ["device_id", "lon", "lat"],
    "anyOf": [{"required": ["fixed_at"]}, {"required": ["fixed_at_us"]}],
    "properties": {
        "device_id": {
            "type": "string",
            "minLength": 1,
            "maxLength": 200,
            "description": "The serial that you gave the tag, without control characters. Unknown ones are made.",
        },
        "fixed_at": {
            "type": "string",
            "format": "date-time",
            "description": "When the fix was taken: RFC 3339 with offset. Digits finer than a microsecond are cut off.",
        },
        "fixed_at_us": {
            "type": "integer",
            "description": "The same, in microseconds since 1970-01-01 UTC. If both are given they have to agree.",
        },
        "lon": {"type": "number", "minimum": -180, "maximum": 180, "description": "WGS84 degrees, kept to 1e-7."},
        "lat": {"type": "number", "minimum": -90, "maximum": 90, "description": "WGS84 degrees, kept to 1e-7."},
        "accuracy_m": {
            "type": ["number", "null"],
            "minimum": 0,
            "description": "Radius of the circle that the position is in, kept to 1 cm. Absent, null or 0: unknown.",
        },
        "speed_mps": {"type": ["number", "null"], "minimum": 0, "description": "Kept to 1 cm/s."},
        "direction_deg": {
            "type": ["number", "null"],
            "minimum": 0,
            "maximum": 360,
            "description": "Clockwise from north, kept to 0.01; 360 is 0.",
        },
        "source": {
            "type": ["string", "null"],
            "enum": ["gps", "rf", "lbs", "wifi", "unknown", None],
            "description": "How the fix was made, in any case of letters.",
        },
    },
}

REQUEST_BODY: dict[str, Any] = {
    "required": True,
    "description": "Pings in any order: at most 1,000,000, 32 MiB as sent and 256 MiB decompressed unless the operator "
    "set other limits. `Content-Encoding: gzip` or `zstd`. Other fields are ignored and counted.",
    "content": {
        "application/json": {
            "schema": {
                "oneOf": [
                    {"type": "array", "items": _PING},
                    {
                        "type": "object",
                        "description": "Columns: an array for each field, all of one length.",
                        "additionalProperties": {"type": "array"},
                    },
                ]
            },
            "examples": {
                "array": {"summary": "An array of pings", "value": _PINGS},
                "columns": {
                    "summary": "An object of columns, smaller and quicker",
                    "value": {
                        "device_id": ["TAG-00417", "TAG-00418"],
                        "fixed_at_us": [1709285400000000, 1709285400000000],
                        "lon": [-2.5879, -2.6012],
                        "lat": [51.4545, 51.4601],
                        "accuracy_m": [8.5, None],
                    },
                },
            },
        },
        "application/x-ndjson": {
            "schema": {"type": "string", "description": "A ping as JSON on each line."},
            "example": '{"device_id":"TAG-00417","fixed_at":"2024-03-01T09:30:00Z","lon":-2.5879,"lat":51.4545}\n'
            '{"device_id":"TAG-00418","fixed_at":"2024-03-01T09:30:00Z","lon":-2.6012,"lat":51.4601}\n',
        },
        "application/vnd.apache.arrow.stream": {
            "schema": {
                "type": "string",
                "format": "binary",
                "description": "An Arrow IPC stream with a ping's fields as columns: strings (dictionaries too), "
                "numbers, `fixed_at` as timestamp with time zone or text. The quickest form for large batches.",
            },
            "example": "pyarrow: writer = pyarrow.ipc.new_stream(sink, table.schema); writer.write_table(table)",
        },
    },
}
