//! What a request is about. No handler reaches an instance or task but through these, so
//! that the ids are checked, and another project's answer like unknown ones, in one place.

use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use uuid::Uuid;

use super::error::ApiError;
use crate::App;
use crate::auth::Caller;
use crate::config::{Instance, Node};
use crate::ids;

/// A project that the caller may use.
#[derive(Debug)]
pub(crate) struct InProject(pub(crate) String);

/// An instance of such a project.
#[derive(Debug)]
pub(crate) struct InInstance(pub(crate) Arc<Instance>);

/// A task id of such an instance; whether there is a task is for the store to say.
#[derive(Debug)]
pub(crate) struct InTask {
    pub(crate) instance: Arc<Instance>,
    pub(crate) task_id: Uuid,
}

/// A backup id of such an instance; whether there is a backup is for its folders to say.
#[derive(Debug)]
pub(crate) struct InBackup {
    pub(crate) instance: Arc<Instance>,
    pub(crate) backup_id: Uuid,
}

/// A node of such an instance, and the name of a file that is to be a backup of it.
#[derive(Debug)]
pub(crate) struct InNode {
    pub(crate) instance: Arc<Instance>,
    pub(crate) node: Node,
    pub(crate) file_name: String,
}

impl FromRequestParts<Arc<App>> for InNode {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let InInstance(instance) = InInstance::from_request_parts(parts, app).await?;
        let id = path_param(parts, app, "node_id").await?;
        let node = instance.node(&id).cloned().ok_or(ApiError::UnknownNode)?;
        let file_name = path_param(parts, app, "file_name").await?;
        if !ids::is_backup_name(&file_name) {
            return Err(ApiError::InvalidQuery("file_name".to_owned()));
        }
        Ok(Self { instance, node, file_name })
    }
}

impl FromRequestParts<Arc<App>> for InProject {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, app).await?;
        let id = path_param(parts, app, "project_id").await?;
        if !ids::is_project_id(&id) {
            return Err(ApiError::InvalidProjectId);
        }
        if !caller.may_use(&id) {
            return Err(ApiError::ForeignProject);
        }
        Ok(Self(id))
    }
}

impl FromRequestParts<Arc<App>> for InInstance {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let InProject(project) = InProject::from_request_parts(parts, app).await?;
        let id = ids::uuid(&path_param(parts, app, "instance_id").await?)
            .ok_or(ApiError::InvalidInstanceId)?;
        app.instances
            .get(id)
            .filter(|instance| instance.project == project)
            .map(Self)
            .ok_or(ApiError::UnknownInstance)
    }
}

impl FromRequestParts<Arc<App>> for InTask {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let InInstance(instance) = InInstance::from_request_parts(parts, app).await?;
        let task_id =
            ids::uuid(&path_param(parts, app, "task_id").await?).ok_or(ApiError::InvalidTaskId)?;
        Ok(Self { instance, task_id })
    }
}

impl FromRequestParts<Arc<App>> for InBackup {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let InInstance(instance) = InInstance::from_request_parts(parts, app).await?;
        let backup_id = ids::uuid(&path_param(parts, app, "backup_id").await?)
            .ok_or(ApiError::InvalidMember("backup_id"))?;
        Ok(Self { instance, backup_id })
    }
}

async fn path_param(parts: &mut Parts, app: &Arc<App>, name: &str) -> Result<String, ApiError> {
    let params = RawPathParams::from_request_parts(parts, app).await.map_err(ApiError::internal)?;
    params
        .iter()
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned())
        .ok_or_else(|| ApiError::internal(format!("route without parameter {name}")))
}
