//! The published JSON schema is what the types say. `cargo xtask schema` writes it anew.

use std::path::Path;

#[test]
fn the_published_schema_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema/bugcheck.report-1.schema.json");
    let current = serde_json::to_string_pretty(&bugcheck_analysis::model::json_schema()).unwrap() + "\n";
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&path, &current).unwrap();
    }
    let published = std::fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    assert!(published == current, "{} is not what the types say: run `cargo xtask schema`", path.display());
}
