"""The public API in types: what goes in, what comes out, with examples for the OpenAPI document."""
