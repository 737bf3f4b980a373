//! All routes on one page.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, delete, get, post};
use tower_http::catch_panic::CatchPanicLayer;

use crate::App;
use crate::api::key_analysis::{self, report};
use crate::api::{self, background_tasks, backups, downloads, health, instances, projects, tokens};
use crate::auth::{self, Caller};
use crate::config::Permission::{self, Admin, Analyse, Read};
use crate::console;
use crate::server;

/// A method of a path.
struct Route {
    method: &'static str,
    path: &'static str,
    /// What a caller must be permitted.
    needs: Permission,
    handler: fn() -> MethodRouter<Arc<App>>,
}

macro_rules! routes {
    ($($method:literal $path:expr, $needs:expr, $handler:expr;)*) => {
        &[$(Route { method: $method, path: $path, needs: $needs, handler: || $handler }),*]
    };
}

macro_rules! instance {
    ($rest:literal) => {
        concat!("/v2/{project_id}/instances/{instance_id}", $rest)
    };
}

/// Every route that takes a signature or a token.
const ROUTES: &[Route] = routes![
    "GET" "/v3/projects", Read, get(projects::list);
    "GET" "/v2/{project_id}/instances", Read, get(instances::list);
    "GET" instance!(""), Read, get(instances::show);
    "GET" "/v2/{project_id}/instance/{instance_id}/groups", Read, get(instances::groups);
    "GET" instance!("/logical-nodes"), Read, get(instances::logical_nodes);
    "GET" instance!("/backups"), Read, get(backups::list);
    "POST" instance!("/backups"), Analyse, post(backups::copy);
    // These two give away and destroy what the keys hold.
    "POST" instance!("/backups/{backup_id}/links"), Admin, post(backups::links);
    "DELETE" instance!("/backups/{backup_id}"), Admin, delete(backups::delete);
    "GET" instance!("/tasks"), Read, get(background_tasks::list);
    "GET" instance!("/offline/key-analysis"), Read, get(key_analysis::list);
    "POST" instance!("/offline/key-analysis"), Analyse, post(key_analysis::create);
    "GET" instance!("/offline/key-analysis/{task_id}"), Read, get(key_analysis::show);
    "DELETE" instance!("/offline/key-analysis/{task_id}"), Analyse, delete(key_analysis::delete);
    "GET" instance!("/offline/key-analysis/{task_id}/nodes"), Read, get(key_analysis::nodes);
    "GET" instance!("/offline/key-analysis/{task_id}/events"), Read, get(key_analysis::events);
    "GET" instance!("/offline/key-analysis/{task_id}/report"), Read, get(report::json);
    "GET" instance!("/offline/key-analysis/{task_id}/report.csv"), Read, get(report::csv);
    "GET" instance!("/offline/key-analysis/{task_id}/report.html"), Read, get(report::html);
];

/// Method, path and needed permission of every route that takes a signature or a token.
pub fn routes() -> impl Iterator<Item = (&'static str, &'static str, Permission)> {
    ROUTES.iter().map(|route| (route.method, route.path, route.needs))
}

/// The service as one tower service: callers are verified before a handler is reached.
pub(crate) fn router(app: Arc<App>) -> Router {
    let router = ROUTES.iter().fold(Router::new(), |router, route| {
        let needs = route.needs;
        let require = move |caller: Caller, request: Request, next: Next| {
            auth::require(needs, caller, request, next)
        };
        router.route(route.path, (route.handler)().route_layer(from_fn(require)))
    });
    router
        .method_not_allowed_fallback(api::method_not_allowed)
        .route_layer(from_fn_with_state(Arc::clone(&app), auth::authenticate))
        .route("/v3/auth/tokens", post(tokens::create).fallback(api::method_not_allowed))
        .route("/healthz", get(health::show).fallback(api::method_not_allowed))
        .route(
            "/downloads/{project_id}/{instance_id}/{backup_id}/{file_name}",
            get(downloads::download).fallback(api::method_not_allowed),
        )
        .route("/", get(console::page).fallback(api::method_not_allowed))
        .route("/console/{*path}", get(console::file).fallback(api::method_not_allowed))
        .route(
            "/console/session",
            get(console::session::show)
                .post(console::session::begin)
                .delete(console::session::end)
                .fallback(api::method_not_allowed),
        )
        .fallback(api::unknown_path)
        // Bodies are limited where they are read.
        .layer(DefaultBodyLimit::disable())
        .layer(CatchPanicLayer::custom(api::panicked))
        .layer(from_fn(server::refuse_ambiguous))
        .layer(from_fn(api::finish))
        .with_state(app)
}
