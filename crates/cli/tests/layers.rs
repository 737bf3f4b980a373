//! Dependencies between the crates point one way; see docs/ARCHITECTURE.md.

use std::process::Command;

use serde_json::Value as Json;

/// What each crate may depend on, of ours.
const ALLOWED: [(&str, &[&str]); 7] = [
    ("offkey-rdb", &[]),
    ("offkey-analysis", &["offkey-rdb"]),
    ("offkey-render", &["offkey-rdb", "offkey-analysis"]),
    ("offkey-fetch", &["offkey-analysis"]),
    ("offkey-service", &["offkey-analysis", "offkey-render", "offkey-fetch"]),
    (
        "offkey",
        &["offkey-rdb", "offkey-analysis", "offkey-render", "offkey-fetch", "offkey-service"],
    ),
    ("offkey-testkit", &[]),
];

#[test]
fn dependencies_point_one_way() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]);
    let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Json = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert_eq!(packages.len(), ALLOWED.len());
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let (_, allowed) = ALLOWED.iter().find(|(ours, _)| *ours == name).unwrap();
        for dependency in package["dependencies"].as_array().unwrap() {
            let to = dependency["name"].as_str().unwrap();
            let of_tests = dependency["kind"] == "dev" && to == "offkey-testkit";
            let is_ours = to == "offkey" || to.starts_with("offkey-");
            assert!(!is_ours || of_tests || allowed.contains(&to), "{name} depends on {to}");
        }
    }
}
