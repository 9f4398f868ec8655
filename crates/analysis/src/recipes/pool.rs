//! Damaged or misused pool memory and objects: 0x19, 0xC2, 0x13A, 0xC1, 0xC6, 0x18, 0x189.

use crate::case::Case;
use crate::suspects::Subject;

pub(super) fn run(case: &mut Case<'_>) {
    // Who frees or allocates twice is on the stack; who overran a block is often long gone.
    let precise = matches!(case.code, 0xc1 | 0xc2 | 0xc6);
    super::memory_access::blame_stack(case, if precise { 0.5 } else { 0.35 });
    if let Some(tag) = pool_tag(case) {
        case.object("pool", 0, format!("pool tag '{tag}'"));
    }
    let text = match case.code {
        0x18 | 0x189 => "a reference count went wrong: a driver gave an object back too often; damaged memory can do the same",
        _ => "pool memory was damaged: whoever wrote past the end of a block is often not on this stack, and bad memory does the same",
    };
    case.suspects.accuse(Subject::hardware("memory"), "pool-damaged", 0.15, text, "code");
    case.missing.push(crate::model::Missing {
        what: "who damaged the memory".into(),
        why: "this crash shows who tripped over the damage, not who did it".into(),
        how: "Driver Verifier with special pool, on the third-party drivers only, makes the next crash name the culprit".into(),
    });
}

/// The four characters that tell whose block it is, where a parameter holds them.
fn pool_tag(case: &Case<'_>) -> Option<String> {
    let value = match (case.code, case.parameter(1)) {
        (0xc2, 7) => case.parameter(2) as u32,
        (0xc2, 0xa | 0xb) => case.parameter(3) as u32,
        _ => return None,
    };
    let bytes = value.to_le_bytes();
    let printable = bytes.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
    printable.then(|| bytes.iter().map(|&byte| char::from(byte)).collect())
}
