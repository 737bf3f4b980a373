//! All routes on one page.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, delete, get, post, put};
use tower_http::catch_panic::CatchPanicLayer;

use crate::App;
use crate::api::audit::audit;
use crate::api::key_analysis::{self, report};
use crate::api::{
    self, background_tasks, backups, downloads, health, instances, operations, projects, tokens,
    uploads,
};
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
    /// What the API calls it.
    name: &'static str,
    handler: fn() -> MethodRouter<Arc<App>>,
}

macro_rules! routes {
    ($($method:literal $path:expr, $needs:expr, $name:literal, $handler:expr;)*) => {
        &[$(Route {
            method: $method,
            path: $path,
            needs: $needs,
            name: $name,
            handler: || $handler,
        }),*]
    };
}

macro_rules! instance {
    ($rest:literal) => {
        concat!("/v2/{project_id}/instances/{instance_id}", $rest)
    };
}

macro_rules! task {
    ($rest:literal) => {
        concat!(instance!("/offline/key-analysis/{task_id}"), $rest)
    };
}

/// Where backups are uploaded.
pub(crate) const UPLOAD: &str = instance!("/nodes/{node_id}/backups/{file_name}");

/// Every route that takes a signature or a token.
const ROUTES: &[Route] = routes![
    "GET" "/v3/projects", Read, "KeystoneListProjects", get(projects::list);
    "GET" "/v2/{project_id}/instances", Read, "ListInstances", get(instances::list);
    "GET" instance!(""), Read, "ShowInstance", get(instances::show);
    "GET" "/v2/{project_id}/instance/{instance_id}/groups", Read, "ListGroupReplicationInfo",
        get(instances::groups);
    "GET" instance!("/logical-nodes"), Read, "ShowNodesInformation", get(instances::logical_nodes);
    "GET" instance!("/backups"), Read, "ListBackupRecords", get(backups::list);
    "POST" instance!("/backups"), Analyse, "CopyInstance", post(backups::copy);
    "PUT" UPLOAD, Analyse, "UploadBackupFile", put(uploads::put);
    // These two give away and destroy what the keys hold.
    "POST" instance!("/backups/{backup_id}/links"), Admin, "ListBackupFileLinks",
        post(backups::links);
    "DELETE" instance!("/backups/{backup_id}"), Admin, "DeleteBackupFile", delete(backups::delete);
    "GET" instance!("/tasks"), Read, "ListBackgroundTask", get(background_tasks::list);
    "GET" instance!("/offline/key-analysis"), Read, "ListOfflineKeyAnalysisTask",
        get(key_analysis::list);
    "POST" instance!("/offline/key-analysis"), Analyse, "CreateOfflineKeyAnalysis",
        post(key_analysis::create);
    "GET" task!(""), Read, "ShowOfflineKeyAnalysisTask", get(key_analysis::show);
    "DELETE" task!(""), Analyse, "DeleteOfflineKeyAnalysisTask", delete(key_analysis::delete);
    "GET" task!("/nodes"), Read, "ListOfflineKeyAnalysisNodes", get(key_analysis::nodes);
    "GET" task!("/events"), Read, "FollowOfflineKeyAnalysisTask", get(key_analysis::events);
    "GET" task!("/report"), Read, "ShowOfflineKeyAnalysisReport", get(report::json);
    "GET" task!("/report.csv"), Read, "DownloadOfflineKeyAnalysisReportCsv", get(report::csv);
    "GET" task!("/report.html"), Read, "DownloadOfflineKeyAnalysisReportHtml", get(report::html);
];

/// Where tokens are asked for.
const TOKENS: &str = "/v3/auth/tokens";

/// Method, path and needed permission of every route that takes a signature or a token.
pub fn routes() -> impl Iterator<Item = (&'static str, &'static str, Permission)> {
    ROUTES.iter().map(|route| (route.method, route.path, route.needs))
}

/// Method, path, needed permission and name of every route that the API describes.
pub(crate) fn described()
-> impl Iterator<Item = (&'static str, &'static str, Option<Permission>, &'static str)> {
    let tokens = ("POST", TOKENS, None, "KeystoneCreateUserTokenByAkSk");
    let routes = ROUTES.iter();
    routes.map(|route| (route.method, route.path, Some(route.needs), route.name)).chain([tokens])
}

/// The service as one tower service: callers are verified before a handler is reached.
pub(crate) fn router(app: Arc<App>) -> Router {
    let router = ROUTES.iter().fold(Router::new(), |router, route| {
        let needs = route.needs;
        let require = move |caller: Caller, request: Request, next: Next| {
            auth::require(needs, caller, request, next)
        };
        let mut handler = (route.handler)().route_layer(from_fn(require));
        if route.method != "GET" {
            let name = route.name;
            handler = handler.route_layer(from_fn(move |caller, params, request, next| {
                audit(name, caller, params, request, next)
            }));
        }
        router.route(route.path, handler)
    });
    router
        .method_not_allowed_fallback(api::method_not_allowed)
        .route_layer(from_fn_with_state(Arc::clone(&app), auth::authenticate))
        .route(TOKENS, post(tokens::create).fallback(api::method_not_allowed))
        .route(
            "/downloads/{project_id}/{instance_id}/{backup_id}/{file_name}",
            get(downloads::download).fallback(api::method_not_allowed),
        )
        .merge(operations())
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
        .layer(from_fn(server::refuse_long_heads))
        .layer(from_fn_with_state(Arc::clone(&app), api::finish))
        .with_state(app)
}

/// What those who run the service ask, without a key.
fn operations() -> Router<Arc<App>> {
    let asked = |handler: MethodRouter<Arc<App>>| handler.fallback(api::method_not_allowed);
    Router::new()
        .route("/healthz", asked(get(health::show)))
        .route("/readyz", asked(get(operations::ready)))
        .route("/metrics", asked(get(operations::metrics)))
        .route("/openapi.json", asked(get(operations::description)))
}
