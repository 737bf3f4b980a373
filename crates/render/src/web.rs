//! The files of `console/`, which the one-file report and the service's console share.
//!
//! They are plain modules and style sheets that a browser takes as they are; see
//! `docs/decisions/0007-plain-modules.md`.

/// A file that a browser loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asset {
    /// Its path below `console/`, which is also its path below the service's `/console/`.
    pub path: &'static str,
    /// Its content.
    pub text: &'static str,
}

macro_rules! assets {
    ($($path:literal),* $(,)?) => {
        &[$(Asset { path: $path, text: include_str!(concat!("../../../console/", $path)) }),*]
    };
}

/// The modules of the report, each after those that it imports.
pub const REPORT_MODULES: &[Asset] = assets![
    "report/dom.js",
    "report/english.js",
    "report/chinese.js",
    "report/language.js",
    "report/format.js",
    "report/names.js",
    "report/squarify.js",
    "report/tables.js",
    "report/charts.js",
    "report/treemap.js",
    "report/keys.js",
    "report/prefixes.js",
    "report/overview.js",
    "report/fleet.js",
    "report/trust.js",
    "report/view.js",
    "report/page.js",
];

/// How the report looks.
pub const REPORT_STYLE: Asset = assets!["style/report.css"][0];

/// The page of the service's console.
pub const CONSOLE_PAGE: Asset = assets!["app/index.html"][0];

/// What that page loads, besides [`REPORT_MODULES`] and [`REPORT_STYLE`].
const APP_FILES: &[Asset] = assets![
    "app/api.js",
    "app/compare.js",
    "app/instance.js",
    "app/instances.js",
    "app/main.js",
    "app/shell.js",
    "app/signin.js",
    "app/task.js",
    "app/words.js",
    "style/app.css",
    "style/icon.svg",
];

/// The file of that page at `path`, below `/console/`.
#[must_use]
pub fn console_file(path: &str) -> Option<&'static Asset> {
    let mut files = APP_FILES.iter().chain(REPORT_MODULES).chain([&REPORT_STYLE]);
    files.find(|file| file.path == path)
}

impl Asset {
    /// The media type of its content.
    #[must_use]
    pub fn media_type(&self) -> &'static str {
        match self.path.rsplit_once('.') {
            Some((_, "js")) => "text/javascript; charset=utf-8",
            Some((_, "css")) => "text/css; charset=utf-8",
            Some((_, "svg")) => "image/svg+xml",
            _ => "text/html; charset=utf-8",
        }
    }

    /// The name by which modules of its folder import it.
    pub(crate) fn name(&self) -> &'static str {
        self.path.rsplit('/').next().unwrap_or(self.path)
    }
}
