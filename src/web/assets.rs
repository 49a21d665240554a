//! Static files, in the binary; their URLs hold a hash of their content, so browsers may keep them for ever.

use std::{collections::HashMap, fs, io, path::Path as FilePath};

use axum::{
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
};
use data_encoding::HEXLOWER;

use super::{error::AppError, state::AppState};
use crate::domain::random::digest;

/// Where they stand: `/static/<hash>/<name>`.
pub const PATH: &str = "/static/{hash}/{name}";

const BUILT_IN: [(&str, &[u8]); 3] = [
    ("style.css", include_bytes!("../../static/style.css")),
    ("app.js", include_bytes!("../../static/app.js")),
    ("favicon.svg", include_bytes!("../../static/favicon.svg")),
];

struct StaticFile {
    hash: String,
    content: Vec<u8>,
}

/// The files, by name.
pub struct StaticFiles {
    files: HashMap<String, StaticFile>,
    operator: Option<String>,
}

impl StaticFiles {
    /// The built-in files, with those that a theme lays over them: `theme.css`, `logo.svg`, and `operator.txt` (the name
    /// above the service's).
    ///
    /// # Errors
    /// Where a file of the theme exists and cannot be read.
    pub fn load(theme: Option<&FilePath>) -> io::Result<Self> {
        let mut files: HashMap<_, _> =
            BUILT_IN.into_iter().map(|(name, content)| (name.to_owned(), StaticFile::new(content.to_vec()))).collect();
        for name in ["theme.css", "logo.svg"] {
            if let Some(content) = theme.map(|dir| read_if_there(&dir.join(name))).transpose()?.flatten() {
                files.insert(name.to_owned(), StaticFile::new(content));
            }
        }
        let operator = theme.map(|dir| read_if_there(&dir.join("operator.txt"))).transpose()?.flatten();
        let operator = operator.map(|text| String::from_utf8_lossy(&text).trim().to_owned());
        Ok(Self { files, operator })
    }

    /// The URL of a built-in file.
    pub fn url(&self, name: &str) -> String {
        self.optional_url(name).unwrap_or_default()
    }

    /// The URL of a file that only a theme brings.
    pub fn optional_url(&self, name: &str) -> Option<String> {
        self.files.get(name).map(|file| format!("/static/{}/{name}", file.hash))
    }

    pub fn operator(&self) -> Option<&str> {
        self.operator.as_deref()
    }
}

impl StaticFile {
    fn new(content: Vec<u8>) -> Self {
        Self { hash: HEXLOWER.encode(&digest(&content)[..8]), content }
    }
}

fn read_if_there(path: &FilePath) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// Serves one.
///
/// # Errors
/// Not found, also under another hash than its own.
pub async fn file(
    State(state): State<AppState>,
    Path((hash, name)): Path<(String, String)>,
) -> Result<Response, AppError> {
    let file = state.files.files.get(&name).filter(|file| file.hash == hash).ok_or(AppError::NotFound)?;
    let headers =
        [(header::CONTENT_TYPE, content_type(&name)), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    Ok((headers, file.content.clone()).into_response())
}
