//! What can go wrong, and the status, code and text that say so on the wire.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::auth::CredentialError;
use crate::config::Permission;
use crate::store::StoreError;

/// An error answer of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ApiError {
    /// The gateway does not know who is calling.
    NotAuthentic(String),
    /// The token is not one of ours.
    InvalidToken,
    TokenExpired,
    /// The request is neither signed nor has it a token.
    NoToken,
    /// The caller's role does not allow it; one that does.
    NotPermitted(Permission),
    /// The gateway knows no such path.
    NotPublished,
    /// The request can be understood in two ways.
    Ambiguous(&'static str),
    HeadTooLong,
    BodyTooLong,
    BodyTooSlow,
    Throttled,
    InvalidProjectId,
    /// The caller may not use the project, whether there is one or not.
    ForeignProject,
    InvalidInstanceId,
    UnknownInstance,
    InvalidTaskId,
    UnknownTask,
    /// The task has none yet, or has failed before there was one.
    NoReport,
    UnknownNode,
    UnknownPath,
    MethodNotAllowed,
    /// A parameter of the query.
    InvalidQuery(String),
    /// A member of the body.
    InvalidMember(&'static str),
    EmptyBody,
    MalformedBody,
    /// A backup that is no sound RDB file, or whose name is taken; why.
    BadUpload(String),
    /// The engine or its version.
    Unsupported,
    /// An analysis of the instance is waiting or running.
    Busy,
    /// The task is being run, so it cannot be deleted.
    TaskRunning,
    /// A new backup would have to be taken.
    NoNewBackup,
    /// A node does not answer, or does not let us in.
    NotRunning,
    /// A backup of the instance is being taken.
    Backuping,
    /// The backup lies in a source, which is not written.
    ForeignBackup,
    /// A waiting or running analysis reads the backup.
    BackupInUse,
    /// The link to a backup has run out, or was not made here.
    InvalidLink,
    /// The database cannot be used at present.
    Unavailable,
    Internal,
}

impl ApiError {
    /// Status, code and text.
    pub(crate) fn parts(&self) -> (StatusCode, &'static str, String) {
        let (status, code, text) = match self {
            Self::NotAuthentic(reason) => {
                let text = format!("Incorrect IAM authentication information: {reason}");
                return (StatusCode::UNAUTHORIZED, "APIGW.0301", text);
            }
            Self::InvalidQuery(name) => {
                let text = format!("Invalid {name} parameter in the request.");
                return (StatusCode::BAD_REQUEST, "DCS.4062", text);
            }
            Self::InvalidMember(name) => {
                let text = format!("Invalid {name} parameter in the request.");
                return (StatusCode::BAD_REQUEST, "DCS.4063", text);
            }
            Self::BadUpload(reason) => {
                let text = format!("The backup is refused: {reason}");
                return (StatusCode::BAD_REQUEST, "DCS.4005", text);
            }
            Self::Ambiguous(reason) => {
                return (StatusCode::BAD_REQUEST, "APIGW.0201", format!("Bad request: {reason}"));
            }
            Self::InvalidToken => (StatusCode::UNAUTHORIZED, "DCS.1001", "Invalid token."),
            Self::TokenExpired => (StatusCode::UNAUTHORIZED, "DCS.1002", "Token expired."),
            Self::NoToken => (StatusCode::UNAUTHORIZED, "DCS.1003", "No token in the request."),
            Self::NotPermitted(_) => (
                StatusCode::FORBIDDEN,
                "DCS.2003",
                "This role does not have the permission to perform this operation.",
            ),
            Self::NotPublished => (
                StatusCode::NOT_FOUND,
                "APIGW.0101",
                "The API does not exist or has not been published in the environment.",
            ),
            Self::HeadTooLong => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "APIGW.0201",
                "Request header fields too large.",
            ),
            Self::BodyTooLong => {
                (StatusCode::PAYLOAD_TOO_LARGE, "APIGW.0201", "Request entity too large.")
            }
            Self::BodyTooSlow => {
                (StatusCode::REQUEST_TIMEOUT, "APIGW.0201", "Request entity takes too long.")
            }
            Self::Throttled => (
                StatusCode::TOO_MANY_REQUESTS,
                "APIGW.0308",
                "The throttling threshold has been reached.",
            ),
            Self::InvalidProjectId => {
                (StatusCode::BAD_REQUEST, "DCS.4002", "Invalid project ID format.")
            }
            Self::ForeignProject => {
                (StatusCode::UNAUTHORIZED, "DCS.1004", "Project ID does not match the token.")
            }
            Self::InvalidInstanceId => {
                (StatusCode::BAD_REQUEST, "DCS.4061", "Invalid instance ID format.")
            }
            Self::UnknownInstance => {
                (StatusCode::NOT_FOUND, "DCS.3022", "This DCS instance does not exist.")
            }
            Self::InvalidTaskId => (StatusCode::BAD_REQUEST, "DCS.4070", "Invalid task ID format."),
            Self::UnknownTask => {
                (StatusCode::BAD_REQUEST, "DCS.4232", "The analysis task does not exist.")
            }
            Self::NoReport => {
                (StatusCode::BAD_REQUEST, "DCS.4232", "The analysis task has no report.")
            }
            Self::UnknownNode => (StatusCode::BAD_REQUEST, "DCS.3053", "Incorrect node ID."),
            Self::UnknownPath => {
                (StatusCode::NOT_FOUND, "DCS.4001", "The requested URL does not exist.")
            }
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "DCS.5001", "This request method is not allowed.")
            }
            Self::EmptyBody => (StatusCode::BAD_REQUEST, "DCS.4004", "Empty request body."),
            Self::MalformedBody => (
                StatusCode::BAD_REQUEST,
                "DCS.4005",
                "The message body contains invalid characters or is not in JSON format.",
            ),
            Self::Unsupported => {
                (StatusCode::BAD_REQUEST, "DCS.4230", "Does not support offline key analysis.")
            }
            Self::Busy => (
                StatusCode::BAD_REQUEST,
                "DCS.4231",
                "An offline key analysis of this instance is already in progress.",
            ),
            Self::TaskRunning => {
                (StatusCode::BAD_REQUEST, "DCS.4231", "The analysis task is running.")
            }
            Self::InvalidLink => {
                (StatusCode::FORBIDDEN, "DCS.2003", "The link has expired or is not valid.")
            }
            Self::NotRunning => {
                (StatusCode::BAD_REQUEST, "DCS.4049", "The instance status is not running.")
            }
            Self::Backuping => (StatusCode::BAD_REQUEST, "DCS.4096", "the instance is backuping."),
            Self::NoNewBackup | Self::BackupInUse | Self::ForeignBackup => (
                StatusCode::BAD_REQUEST,
                "DCS.4026",
                "This operation is not allowed when the DCS instance is in the current state.",
            ),
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "DCS.5000",
                "The service is temporarily unavailable.",
            ),
            Self::Internal => {
                (StatusCode::INTERNAL_SERVER_ERROR, "DCS.5000", "Internal service error.")
            }
        };
        (status, code, text.to_owned())
    }

    /// Whether the gateway in front of the API answers it, with the request's id in the body.
    pub(crate) fn is_of_gateway(&self) -> bool {
        self.parts().1.starts_with("APIGW.")
    }

    /// What the text, which is the API's, does not say.
    pub(crate) fn more(&self) -> Option<String> {
        match self {
            Self::NotPermitted(needed) => Some(format!("role needed: {}", needed.name())),
            _ => None,
        }
    }

    /// Seconds after which the client should try again, where that is worth it.
    pub(crate) fn retry_after_seconds(&self) -> Option<u32> {
        (*self == Self::Unavailable).then_some(5)
    }

    /// Logs what the client is not told, and answers an internal error.
    pub(crate) fn internal(error: impl std::fmt::Display) -> Self {
        tracing::error!(%error, "request failed");
        Self::Internal
    }
}

impl From<CredentialError> for ApiError {
    fn from(error: CredentialError) -> Self {
        match error {
            CredentialError::Unavailable(_) => {
                tracing::warn!(%error, "request refused");
                Self::Unavailable
            }
            CredentialError::Unusable(_)
            | CredentialError::Exists(_)
            | CredentialError::Database(_)
            | CredentialError::Secret { .. }
            | CredentialError::NoToken(_)
            | CredentialError::NoKey => Self::internal(error),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Self::Busy,
            StoreError::Backuping => Self::Backuping,
            StoreError::Unavailable(_) => {
                tracing::warn!(%error, "request refused");
                Self::Unavailable
            }
            StoreError::Database(_)
            | StoreError::Migration(_)
            | StoreError::Json(_)
            | StoreError::Row { .. } => Self::internal(error),
        }
    }
}

impl IntoResponse for ApiError {
    /// The body is written where the request's id is known, in [`super::finish`].
    fn into_response(self) -> Response {
        let mut response = self.parts().0.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
