//! Reads a PDF as poppler does.

use std::{
    io::Write,
    process::{Command, Stdio},
};

/// The text of a PDF, every run of spaces as one plain space; `None` where poppler is not
/// installed.
pub fn text_of_pdf(pdf: &[u8]) -> Option<String> {
    let mut command = Command::new("pdftotext");
    command.args(["-layout", "-nopgbrk", "-", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let Ok(mut reader) = command.spawn() else {
        eprintln!("SKIPPED: pdftotext (poppler-utils) is not installed");
        return None;
    };
    reader.stdin.take().expect("piped").write_all(pdf).expect("poppler reads");
    let output = reader.wait_with_output().expect("poppler ends");
    assert!(output.status.success(), "poppler cannot read the PDF");
    let text = String::from_utf8(output.stdout).expect("poppler writes UTF-8");
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}
