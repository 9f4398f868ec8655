//! Writes the sample dumps: `cargo run -p bugcheck-synth --example write_samples -- samples`.
#![allow(clippy::unwrap_used)]

fn main() {
    let dir = std::env::args().nth(1).unwrap_or_else(|| "samples".to_owned());
    let names = bugcheck_synth::write_samples(dir.as_ref()).unwrap();
    println!("{} samples in {dir}", names.len());
}
