//! What tests leave out where a machine lacks something for them.

use std::fs::OpenOptions;
use std::io::Write as _;

/// Says that `what` is left out. `./dev test` ends with all that was left out, which it finds in the file that
/// `UNMASK_LEFT_OUT` names.
pub fn left_out(what: &str) {
    // Not `eprintln!`: of tests that pass the harness shows nothing that is printed that way.
    writeln!(std::io::stderr(), "left out: {what}").expect("somebody listens");
    let Some(list) = std::env::var_os("UNMASK_LEFT_OUT") else { return };
    let file = OpenOptions::new().append(true).create(true).open(&list);
    file.and_then(|mut file| writeln!(file, "{what}"))
        .unwrap_or_else(|error| panic!("UNMASK_LEFT_OUT = {}: {error}", list.display()));
}
