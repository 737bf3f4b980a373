//! The OpenAPI document, made of the routes and of the types that they read and write.

mod operations;

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use self::operations::{Answer, OPERATIONS, Operation, Parameter};
use super::wire::ErrorBody;
use crate::config::Permission;
use crate::router;

/// Says why some routes are missing.
const DESCRIPTION: &str = "The offline key analysis of Huawei Cloud DCS, self-hosted. \
    Not in here, as no client builds a request for them: the console at / and below /console, whose \
    pages and session are for each other only and change together; the links below /downloads, \
    which come whole from ListBackupFileLinks; /healthz, /readyz and /metrics for those who run \
    the service; and this document.";

/// The whole document.
pub(crate) fn document() -> Value {
    let settings = || {
        SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        })
    };
    let mut written = settings().for_serialize().into_generator();
    let mut read = settings().for_deserialize().into_generator();
    let mut paths = Map::new();
    for (method, path, needs, name) in router::described() {
        let Some(operation) = OPERATIONS.iter().find(|operation| operation.name == name) else {
            continue;
        };
        let described = describe(operation, path, needs, &mut written, &mut read);
        let methods = paths.entry(path).or_insert_with(|| json!({}));
        if let Value::Object(methods) = methods {
            methods.insert(method.to_ascii_lowercase(), described);
        }
    }
    let error = reference::<ErrorBody<'_>>(&mut written);
    let mut schemas = written.take_definitions(true);
    schemas.append(&mut read.take_definitions(true));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "offkey",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {"Error": {
                "description": "An error, with its code and text.",
                "headers": {"X-Request-Id": {"schema": {"type": "string"}}},
                "content": {"application/json": {"schema": error}},
            }},
            "securitySchemes": {
                "token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"},
                "signature": {
                    "type": "apiKey", "in": "header", "name": "Authorization",
                    "description": "SDK-HMAC-SHA256 or SDK-HMAC-SM3 over the request.",
                },
            },
        },
    })
}

fn describe(
    operation: &Operation,
    path: &str,
    needs: Option<Permission>,
    written: &mut SchemaGenerator,
    read: &mut SchemaGenerator,
) -> Value {
    let in_path = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameters: Vec<Value> = in_path
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": id(name)}))
        .chain(operation.query.iter().map(
            |Parameter { name, schema }| json!({"name": name, "in": "query", "schema": schema()}),
        ))
        .collect();
    let (status, mut answer) = match operation.answer {
        Answer::Json(status, schema) => {
            (status, json!({"content": {"application/json": {"schema": schema(written)}}}))
        }
        Answer::Text(content_type) => {
            (200, json!({"content": {content_type: {"schema": {"type": "string"}}}}))
        }
        Answer::Events(schema) => {
            (200, json!({"content": {"text/event-stream": {"schema": schema(written)}}}))
        }
        Answer::Nothing => (204, json!({})),
    };
    if let Value::Object(members) = &mut answer {
        members.insert("description".to_owned(), "Done.".into());
        members.insert(
            "headers".to_owned(),
            json!({"X-Request-Id": {"required": true, "schema": {"type": "string"}}}),
        );
    }
    let mut described = json!({
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": parameters,
        "responses": {
            status.to_string(): answer,
            "default": {"$ref": "#/components/responses/Error"},
        },
        "security": [],
    });
    if let Value::Object(members) = &mut described {
        if let Some(needs) = needs {
            members.insert("security".to_owned(), json!([{"token": []}, {"signature": []}]));
            members.insert("description".to_owned(), format!("Role: {}.", needs.name()).into());
        }
        if let Some(body) = operation.body {
            let content = json!({operation.media: {"schema": body(read)}});
            members.insert(
                "requestBody".to_owned(),
                json!({"required": operation.needs_body, "content": content}),
            );
        }
    }
    described
}

/// What an id in a path looks like.
fn id(name: &str) -> Value {
    match name {
        "project_id" => json!({"type": "string", "pattern": "^[0-9a-f]{32}$"}),
        "node_id" => json!({"type": "string", "pattern": "^[0-9A-Za-z_-]{1,64}$"}),
        "file_name" => json!({
            "type": "string", "maxLength": 128,
            "pattern": r"^[0-9A-Za-z_][0-9A-Za-z._-]*\.rdb(\.(gz|zst|lz4|xz))?$",
        }),
        _ => json!({"type": "string", "format": "uuid"}),
    }
}

/// A reference to the schema of `T`, which is then part of the document.
fn reference<T: schemars::JsonSchema>(schemas: &mut SchemaGenerator) -> Schema {
    schemas.subschema_for::<T>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_described_and_every_description_has_its_route() {
        let mut names: Vec<&str> = router::described().map(|(_, _, _, name)| name).collect();
        let mut described: Vec<&str> = OPERATIONS.iter().map(|one| one.name).collect();
        names.sort_unstable();
        described.sort_unstable();
        assert_eq!(names, described);
    }
}
