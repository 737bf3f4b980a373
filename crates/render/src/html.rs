//! The report as one HTML file that needs no other: opened from a disk, it asks nobody.
//!
//! ```text
//! <meta> Content-Security-Policy   no request, no script and style but the two below
//! <style>                          console/style/report.css
//! <script type="application/json"> the report, in which JSON escapes <, > and &
//! <script>                         the modules of console/report, each in a function
//! ```

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use offkey_analysis::Report;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::instance::Instance;
use crate::json::escaped;
use crate::short::shorten_names;
use crate::web::{Asset, REPORT_MODULES, REPORT_STYLE};

/// Writes the report as a page, which shows the beginning of long names.
///
/// # Errors
/// None that is known of: every report can be written.
pub fn html(report: &Report) -> serde_json::Result<Vec<u8>> {
    let mut report = report.clone();
    shorten_names(&mut report);
    page(&report)
}

/// Writes the report of a fleet as a page that shows the totals of its instances too.
///
/// # Errors
/// None that is known of: every report can be written.
pub fn html_by_instance(report: &Report, instances: &[Instance]) -> serde_json::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Fleet<'r> {
        #[serde(flatten)]
        report: Report,
        instances: &'r [Instance],
    }
    let mut report = report.clone();
    shorten_names(&mut report);
    page(&Fleet { report, instances })
}

fn page(report: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let script = script(REPORT_MODULES);
    let style = REPORT_STYLE.text;
    let policy = format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; base-uri 'none'; \
         form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
        digest(&script),
        digest(style)
    );
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta name=\"generator\" content=\"offkey {}\">\n\
         <title>offkey report</title>\n<style>{style}</style>\n</head>\n<body>\n\
         <noscript><p>This report needs JavaScript to be shown. It makes no request.</p></noscript>\n\
         <script type=\"application/json\" id=\"report\">",
        env!("CARGO_PKG_VERSION")
    )
    .into_bytes();
    page.append(&mut escaped(report, false)?);
    page.extend_from_slice(b"</script>\n<script>");
    page.extend_from_slice(script.as_bytes());
    page.extend_from_slice(b"</script>\n</body>\n</html>\n");
    Ok(page)
}

/// The source of a policy that allows an inline text and no other.
fn digest(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}

/// Modules as one script: each in a function of its own, its exports in `modules`. A file
/// that is opened from a disk may not import others.
fn script(modules: &[Asset]) -> String {
    let mut script = "\"use strict\";\nconst modules = {};\n".to_owned();
    for module in modules {
        let name = module.name();
        let _ = writeln!(script, "modules[\"{name}\"] = (() => {{");
        let mut exports = Vec::new();
        for line in module.text.lines() {
            let _ = match (import(line), export(line)) {
                (Some((names, from)), _) => {
                    writeln!(script, "const {names} = modules[\"{from}\"];")
                }
                (None, Some((declaration, name))) => {
                    exports.push(name);
                    writeln!(script, "{declaration}")
                }
                (None, None) => writeln!(script, "{line}"),
            };
        }
        let _ = writeln!(script, "return {{ {} }};\n}})();", exports.join(", "));
    }
    script.push_str("modules[\"page.js\"].startPage();\n");
    script
}

/// The names in braces and the file of an import.
fn import(line: &str) -> Option<(&str, &str)> {
    let (names, from) = line.strip_prefix("import ")?.split_once(" from \"./")?;
    Some((names, from.strip_suffix("\";")?))
}

/// What is declared without the word `export`, and its name.
fn export(line: &str) -> Option<(&str, &str)> {
    let declaration = line.strip_prefix("export ")?;
    let named = declaration.strip_prefix("async ").unwrap_or(declaration);
    let named = named.strip_prefix("function ").or_else(|| named.strip_prefix("const "))?;
    let end = named.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
    Some((declaration, named.get(..end)?))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    fn report() -> Report {
        serde_json::from_str(include_str!("../../../testdata/reports/small.json")).unwrap()
    }

    fn between<'t>(text: &'t str, start: &str, end: &str) -> &'t str {
        let (_, rest) = text.split_once(start).unwrap();
        rest.split_once(end).unwrap().0
    }

    #[test]
    fn the_report_reads_back_whatever_its_names_are() {
        let mut report = report();
        report.largest_keys[0].key = "</script><script>alert(1)</script><!--".to_owned();
        let page = String::from_utf8(html(&report).unwrap()).unwrap();
        assert_eq!(page.matches("<script").count(), 2, "its data and its own");
        assert_eq!(page.matches("</script").count(), 2);
        let data = between(&page, "id=\"report\">", "</script>");
        assert_eq!(serde_json::from_str::<Report>(data).unwrap(), report);
    }

    #[test]
    fn a_fleet_reads_back_with_its_instances() {
        let instances = r#"[{"instance":"</script>","files":2,"incomplete":1,"num":3,"damaged_num":1,
            "bytes":96,"nodes":[{"node":"a","files":2,"incomplete":1,"num":3,"damaged_num":1,
            "bytes":96}]},{"instance":null,"files":1,"incomplete":0,"num":0,"damaged_num":0,
            "bytes":0,"nodes":[]}]"#;
        let instances: Vec<Instance> = serde_json::from_str(instances).unwrap();
        let page = String::from_utf8(html_by_instance(&report(), &instances).unwrap()).unwrap();
        assert_eq!(page.matches("</script").count(), 2);
        let data = between(&page, "id=\"report\">", "</script>");
        assert_eq!(serde_json::from_str::<Report>(data).unwrap(), report());
        let data: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!(data["instances"], serde_json::to_value(&instances).unwrap());
    }

    #[test]
    fn the_policy_allows_its_script_and_style_alone() {
        let page = String::from_utf8(html(&report()).unwrap()).unwrap();
        let script = between(&page, "</script>\n<script>", "</script>");
        let style = between(&page, "<style>", "</style>");
        let policy = between(&page, "Content-Security-Policy\" content=\"", "\">");
        assert!(policy.contains(&format!("script-src '{}'", digest(script))), "{policy}");
        assert!(policy.contains(&format!("style-src '{}'", digest(style))), "{policy}");
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"));
        for address in ["http:", "https:", "//cdn", "url(", "@import"] {
            let names = script.replace("http://www.w3.org/2000/svg", "");
            assert!(!names.contains(&format!("\"{address}")) && !style.contains(address));
        }
    }

    #[test]
    fn modules_become_one_script() {
        let script = script(REPORT_MODULES);
        for line in script.lines() {
            assert!(!line.starts_with("import") && !line.starts_with("export"), "{line}");
        }
        for module in REPORT_MODULES {
            for line in module.text.lines() {
                let Some((_, from)) = import(line) else { continue };
                let place = |name: &str| REPORT_MODULES.iter().position(|m| m.name() == name);
                assert!(
                    place(from).unwrap() < place(module.name()).unwrap(),
                    "{from} stands first"
                );
            }
        }
    }

    #[test]
    fn no_module_of_the_folder_is_missing() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../console/report");
        let found: BTreeSet<String> = (fs::read_dir(folder).unwrap())
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        let listed = REPORT_MODULES.iter().map(|module| module.name().to_owned()).collect();
        assert_eq!(found, listed);
    }
}
