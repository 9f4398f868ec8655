//! Published `FAILURE_ID_HASH`es.

use crate::text;
use bugcheck_analysis::bucket::failure_id_hash;
use bugcheck_testdata::shared_path;
use serde_json::Value;

#[test]
fn published_hashes_come_out() {
    let Some(path) = shared_path("data/analyze/cases.jsonl") else { return };
    let mut seen = 0;
    for line in text(&path).lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        // Most authors left the hash out, or nobody could derive it from what they printed.
        if case["hash_ok"] != true {
            continue;
        }
        let (bucket, published) = (case["bucket"].as_str().unwrap(), case["published_hash"].as_str().unwrap());
        assert_eq!(failure_id_hash(bucket), published, "{bucket}");
        seen += 1;
    }
    assert!(seen >= 9, "{seen} hashes");
}
