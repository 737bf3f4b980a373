//! All routes on one page.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use tower_http::catch_panic::CatchPanicLayer;

use crate::App;
use crate::api::{self, backups, instances, key_analysis, projects};
use crate::auth;

/// The service as one tower service: signatures are verified before a handler is reached.
pub(crate) fn router(app: Arc<App>) -> Router {
    let analysis = "/v2/{project_id}/instances/{instance_id}/offline/key-analysis";
    Router::new()
        .route("/v3/projects", get(projects::list))
        .route("/v2/{project_id}/instances", get(instances::list))
        .route("/v2/{project_id}/instances/{instance_id}", get(instances::show))
        .route("/v2/{project_id}/instance/{instance_id}/groups", get(instances::groups))
        .route(
            "/v2/{project_id}/instances/{instance_id}/logical-nodes",
            get(instances::logical_nodes),
        )
        .route("/v2/{project_id}/instances/{instance_id}/backups", get(backups::list))
        .route(analysis, get(key_analysis::list).post(key_analysis::create))
        .route(
            &format!("{analysis}/{{task_id}}"),
            get(key_analysis::show).delete(key_analysis::delete),
        )
        .route(&format!("{analysis}/{{task_id}}/nodes"), get(key_analysis::nodes))
        .route(&format!("{analysis}/{{task_id}}/report"), get(key_analysis::report))
        .method_not_allowed_fallback(api::method_not_allowed)
        .route_layer(from_fn_with_state(Arc::clone(&app), auth::authenticate))
        .fallback(api::unknown_path)
        // The signature layer has its own limit.
        .layer(DefaultBodyLimit::disable())
        .layer(CatchPanicLayer::custom(api::panicked))
        .layer(from_fn(api::finish))
        .with_state(app)
}
