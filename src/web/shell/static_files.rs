//! The built-in static files and those of a theme. Their URLs contain a hash of their content.

use std::{collections::HashMap, fs, io, path::Path as FilePath};

use data_encoding::HEXLOWER;

use crate::domain::random::digest;

const BUILT_IN: [(&str, &[u8]); 3] = [
    ("style.css", include_bytes!("../../../static/style.css")),
    ("app.js", include_bytes!("../../../static/app.js")),
    ("favicon.svg", include_bytes!("../../../static/favicon.svg")),
];

struct StaticFile {
    hash: String,
    content: Vec<u8>,
}

/// The static files, by name, and the operator's name.
pub struct StaticFiles {
    files: HashMap<String, StaticFile>,
    operator: Option<String>,
}

impl StaticFiles {
    /// Loads the built-in files and, from the theme's directory, `theme.css`, `logo.svg`,
    /// `provider-button.svg` and `operator.txt` (the operator's name). Each of these may be absent.
    ///
    /// # Errors
    /// If a file of the theme exists and cannot be read.
    pub fn load(theme: Option<&FilePath>) -> io::Result<Self> {
        let mut files: HashMap<_, _> =
            BUILT_IN.into_iter().map(|(name, content)| (name.to_owned(), StaticFile::new(content.to_vec()))).collect();
        for name in ["theme.css", "logo.svg", "provider-button.svg"] {
            if let Some(content) = theme.map(|dir| read_if_there(&dir.join(name))).transpose()?.flatten() {
                files.insert(name.to_owned(), StaticFile::new(content));
            }
        }
        let operator = theme.map(|dir| read_if_there(&dir.join("operator.txt"))).transpose()?.flatten();
        let operator = operator.map(|text| String::from_utf8_lossy(&text).trim().to_owned());
        Ok(Self { files, operator })
    }

    /// The content of a file, if its name and hash are those of its URL.
    pub fn content(&self, name: &str, hash: &str) -> Option<&[u8]> {
        self.files.get(name).filter(|file| file.hash == hash).map(|file| file.content.as_slice())
    }

    /// The URL of a built-in file.
    pub fn url(&self, name: &str) -> String {
        self.optional_url(name).unwrap_or_default()
    }

    /// The URL of a file that only a theme may have.
    pub fn optional_url(&self, name: &str) -> Option<String> {
        self.files.get(name).map(|file| format!("/static/{}/{name}", file.hash))
    }

    /// The operator's name.
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
