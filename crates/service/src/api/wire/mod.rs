//! The words of the DCS API: every name and type as its SDKs decode them.
//!
//! Fields that the API reference does not have are marked as ours; the SDKs skip them.

mod backups;
mod instances;
mod key_analysis;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

pub(crate) use self::backups::*;
pub(crate) use self::instances::*;
pub(crate) use self::key_analysis::*;
use crate::config::{Integers, Role};
use crate::tasks::State;

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ErrorBody<'a> {
    pub(crate) error_code: &'a str,
    pub(crate) error_msg: &'a str,
    /// What the client may do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error_ext_msg: Option<String>,
    /// Of errors of the gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request_id: Option<&'a str>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ProjectList {
    pub(crate) projects: Vec<Project>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Project {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) enabled: bool,
}

/// The API's word for a state.
pub(crate) fn status(state: State) -> &'static str {
    match state {
        State::Waiting => "waiting",
        State::Running => "running",
        State::Success => "success",
        State::Failed => "failed",
    }
}

/// The word for a state where the task is one of an instance's background tasks.
pub(crate) fn background_status(state: State) -> &'static str {
    match state {
        State::Waiting => "WAITING",
        State::Running => "RUNNING",
        State::Success => "SUCCESS",
        State::Failed => "FAILED",
    }
}

/// The state that the API calls `status`.
pub(crate) fn state(word: &str) -> Option<State> {
    State::ALL.into_iter().find(|state| status(*state) == word)
}

/// The API's word for a role.
pub(crate) fn node_type(role: Role) -> &'static str {
    match role {
        Role::Master => "master",
        Role::Slave => "slave",
    }
}

/// Whether this client gets saturated numbers: Go decodes them as `int32`, Java as `Integer`.
pub(crate) fn saturates(integers: Integers, user_agent: &str) -> bool {
    match integers {
        Integers::AlwaysExact => false,
        Integers::AlwaysSaturate => true,
        Integers::ByUserAgent => ["huaweicloud-usdk-go", "huaweicloud-usdk-java"]
            .iter()
            .any(|agent| user_agent.starts_with(agent)),
    }
}

/// The numbers of a report that the SDKs decode.
const DECODED: [&str; 5] = ["bytes", "num", "num_of_elem", "total_bytes", "total_num"];

/// Saturates those above 2147483647 and adds the true ones as text in `<name>_exact`.
pub(crate) fn saturate(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(saturate),
        Value::Object(members) => {
            for name in DECODED {
                let number = members.get(name).and_then(Value::as_u64);
                if let Some(number) = number.filter(|number| i32::try_from(*number).is_err()) {
                    members.insert(name.to_owned(), i32::MAX.into());
                    members.insert(format!("{name}_exact"), number.to_string().into());
                }
            }
            members.values_mut().for_each(saturate);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_saturate_and_stay_readable() {
        let mut value = json!({
            "total_bytes": 5_000_000_000_u64,
            "total_num": 2_147_483_647,
            "largest_keys": [{"key": "a", "bytes": 2_147_483_648_u64, "expire_at_ms": 4_102_444_800_000_u64}],
        });
        saturate(&mut value);
        assert_eq!(
            value,
            json!({
                "total_bytes": 2_147_483_647,
                "total_bytes_exact": "5000000000",
                "total_num": 2_147_483_647,
                "largest_keys": [{
                    "key": "a", "bytes": 2_147_483_647, "bytes_exact": "2147483648",
                    "expire_at_ms": 4_102_444_800_000_u64,
                }],
            })
        );
    }

    #[test]
    fn go_and_java_are_told_by_their_user_agent() {
        for (integers, agent, expected) in [
            (Integers::ByUserAgent, "huaweicloud-usdk-go/3.0", true),
            (Integers::ByUserAgent, "huaweicloud-usdk-java/3.0; x", true),
            (Integers::ByUserAgent, "huaweicloud-usdk-python/3.0", false),
            (Integers::ByUserAgent, "curl (like huaweicloud-usdk-go)", false),
            (Integers::AlwaysExact, "huaweicloud-usdk-go/3.0", false),
            (Integers::AlwaysSaturate, "curl", true),
        ] {
            assert_eq!(saturates(integers, agent), expected, "{integers:?} {agent}");
        }
    }
}
