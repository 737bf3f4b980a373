//! `KeystoneListProjects`, with which a client that is built with a region finds its project.

use std::sync::Arc;

use axum::extract::State;

use super::Json;
use super::error::ApiError;
use super::query::Query;
use super::wire::{Project, ProjectList};
use crate::App;
use crate::auth::Caller;

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    query: Query,
) -> Result<Json<ProjectList>, ApiError> {
    let name = query.one("name")?;
    let projects = app
        .projects
        .iter()
        .filter(|project| caller.may_use(&project.id))
        .filter(|project| name.is_none_or(|name| name == project.name))
        .map(|project| Project {
            id: project.id.clone(),
            name: project.name.clone(),
            enabled: true,
        })
        .collect();
    Ok(Json(ProjectList { projects }))
}
