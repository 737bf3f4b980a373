//! `KeystoneCreateUserTokenByAkSk`: a token for whoever has an access key.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::IntoResponse;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::ApiError;
use super::{Json, timestamp};
use crate::App;
use crate::auth;
use crate::secret::Secret;

const SUBJECT_TOKEN: HeaderName = HeaderName::from_static("x-subject-token");

/// Longest body that asks for a token.
const BODY_LEN_MAX: usize = 16 * 1024;

/// What a client sends: `{"auth": {"identity": {"methods": ["hw_ak_sk"], "hw_ak_sk":
/// {"access": {"key": AK}, "secret": {"key": SK}}}, "scope": {"project": {"id": ID}}}}`.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "CreateTokenRequest")]
pub(crate) struct CreateRequest {
    auth: Auth,
}

#[derive(Deserialize, JsonSchema)]
struct Auth {
    identity: Identity,
    scope: Option<Scope>,
}

#[derive(Deserialize, JsonSchema)]
struct Identity {
    methods: Vec<String>,
    hw_ak_sk: Option<AkSk>,
}

#[derive(Deserialize, JsonSchema)]
struct AkSk {
    access: Access,
    secret: SecretKey,
}

#[derive(Deserialize, JsonSchema)]
struct Access {
    key: String,
}

#[derive(Deserialize, JsonSchema)]
struct SecretKey {
    #[schemars(with = "String")]
    key: Secret,
}

#[derive(Deserialize, JsonSchema)]
struct Scope {
    project: Option<ScopeProject>,
}

#[derive(Deserialize, JsonSchema)]
struct ScopeProject {
    id: Option<String>,
    name: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CreateTokenResponse")]
pub(crate) struct CreateResponse {
    token: TokenBody,
}

#[derive(Debug, Serialize, JsonSchema)]
struct TokenBody {
    methods: [&'static str; 1],
    issued_at: String,
    expires_at: String,
    project: NamedProject,
    roles: [Role; 1],
}

#[derive(Debug, Serialize, JsonSchema)]
struct NamedProject {
    id: String,
    name: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Role {
    name: &'static str,
}

pub(crate) async fn create(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Body,
) -> Result<impl IntoResponse, ApiError> {
    let body = app.throttle.read(&headers, body, BODY_LEN_MAX).await?;
    if body.trim_ascii().is_empty() {
        return Err(ApiError::EmptyBody);
    }
    let request: CreateRequest =
        serde_json::from_slice(&body).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => ApiError::InvalidMember("auth"),
            serde_json::error::Category::Io
            | serde_json::error::Category::Syntax
            | serde_json::error::Category::Eof => ApiError::MalformedBody,
        })?;
    let Auth { identity, scope } = request.auth;
    if identity.methods != ["hw_ak_sk"] {
        return Err(ApiError::InvalidMember("methods"));
    }
    let AkSk { access, secret } = identity.hw_ak_sk.ok_or(ApiError::InvalidMember("hw_ak_sk"))?;
    let known = auth::usable(&app, &access.key, &headers).await?;
    if !auth::is_same(&secret.key, &known.credential.sk) {
        return Err(ApiError::NotAuthentic("wrong secret access key".into()));
    }
    app.throttle.count(&known)?;

    let project = {
        let mut usable = app.projects.iter().filter(|project| {
            let wanted = scope.as_ref().and_then(|scope| scope.project.as_ref());
            let is = |wanted: Option<&String>, own: &String| wanted.is_none_or(|id| id == own);
            known.credential.projects.contains(&project.id)
                && is(wanted.and_then(|wanted| wanted.id.as_ref()), &project.id)
                && is(wanted.and_then(|wanted| wanted.name.as_ref()), &project.name)
        });
        match (usable.next(), usable.next()) {
            (Some(project), None) => project,
            (None, _) => return Err(ApiError::ForeignProject),
            (Some(_), Some(_)) => return Err(ApiError::InvalidMember("scope")),
        }
    };
    let now_ms = (app.clock)();
    let credential = &known.credential;
    let token = auth::issue(&credential.ak, &credential.sk, &project.id, now_ms);
    let end_ms = now_ms.saturating_add(auth::TOKEN_MS);
    let end_ms = known.temporary.as_ref().map_or(end_ms, |own| own.expire_at_ms.min(end_ms));
    let body = CreateResponse {
        token: TokenBody {
            methods: ["hw_ak_sk"],
            issued_at: timestamp(now_ms),
            expires_at: timestamp(end_ms),
            project: NamedProject { id: project.id.clone(), name: project.name.clone() },
            roles: [Role { name: credential.role.name() }],
        },
    };
    tracing::info!(
        target: "offkey::audit",
        ak = credential.ak,
        operation = "KeystoneCreateUserTokenByAkSk",
        project_id = project.id,
        status = StatusCode::CREATED.as_u16(),
        "audit"
    );
    Ok((StatusCode::CREATED, [(SUBJECT_TOKEN, token)], Json(body)))
}
