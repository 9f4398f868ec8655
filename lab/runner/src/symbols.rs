//! Names and lines of addresses, by LLVM's reader of PDBs: nothing of this project's.

use crate::compile::Built;
use crate::image::Prepared;
use crate::tools::Tools;
use serde_json::Value;

/// Where an address is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The image's name, without its ending.
    pub module: String,
    pub function: String,
    /// File name and line.
    pub line: Option<(String, u64)>,
}

/// The place of an address; for a return address the place of the call.
pub(crate) fn place(address: u64, is_return: bool, prepared: &Prepared, built: &Built) -> Option<Place> {
    let module = prepared.module(address)?;
    let static_base = 0x1_4000_0000;
    let looked_up = static_base + (address - module.base) - u64::from(is_return);
    let output = Tools::llvm("llvm-symbolizer")
        .args(["--output-style=JSON", "--no-inlines"])
        .arg(format!("--obj={}", built.image(&module.name).display()))
        .arg(format!("{looked_up:#x}"))
        .output()
        .unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("llvm-symbolizer: {error}: {output:?}"));
    let symbol = &answer[0]["Symbol"][0];
    let stem = module.name.split('.').next().unwrap_or_default();
    let file = symbol["FileName"].as_str().unwrap_or_default().rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
    let line = symbol["Line"].as_u64().filter(|&line| line != 0);
    Some(Place {
        module: if stem == "ntoskrnl" { "nt" } else { stem }.to_owned(),
        function: symbol["FunctionName"].as_str().unwrap_or_default().to_owned(),
        line: line.map(|line| (file, line)),
    })
}
