//! Bodies: one JSON object, whatever the content type says.

use serde::de::DeserializeOwned;

use super::error::ApiError;

/// Longest body that is parsed: a list of small members takes many times its length in memory.
const LEN_MAX: usize = 256 * 1024;

/// Reads the members of the object in `body`.
pub(crate) fn object<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    if body.trim_ascii().is_empty() {
        return Err(ApiError::EmptyBody);
    }
    // A list would pass for the members in their order.
    if !body.trim_ascii_start().starts_with(b"{") || body.len() > LEN_MAX {
        return Err(ApiError::MalformedBody);
    }
    serde_json::from_slice(body).map_err(|_| ApiError::MalformedBody)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::wire::CreateRequest;

    #[test]
    fn bodies_that_are_not_an_object_are_told_apart() {
        let parse = object::<CreateRequest>;
        for (body, error) in [
            ("", ApiError::EmptyBody),
            (" \n", ApiError::EmptyBody),
            ("[]", ApiError::MalformedBody),
            ("[\"n\", \"b\"]", ApiError::MalformedBody),
            ("null", ApiError::MalformedBody),
            ("{\"node_id\": \"n\"", ApiError::MalformedBody),
            ("{\"node_id\": \"n\", \"node_id\": \"m\"}", ApiError::MalformedBody),
            ("{\"node_id\": \"n\"} x", ApiError::MalformedBody),
        ] {
            assert_eq!(parse(body.as_bytes()).unwrap_err(), error, "{body}");
        }
        let deep = format!("{{\"node_id\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(parse(deep.as_bytes()).unwrap_err(), ApiError::MalformedBody);
        let request = parse(br#"{"node_id": "n", "colour": 1}"#).unwrap();
        assert_eq!(request.node_id, Some("n".into()));
    }
}
