//! The file's metadata: document properties, XMP and identifier.

use askama::Template;
use lopdf::{Dictionary, Object, Stream, StringFormat, dictionary, text_string};
use sha2::{Digest, Sha256};
use time::{OffsetDateTime, UtcOffset};

use super::{content::ConnectionSheet, font::Face, sheet};

#[derive(Template)]
#[template(path = "pdf/metadata.xml")]
struct Xmp<'a> {
    title: &'a str,
    author: &'a str,
    language: &'a str,
    producer: &'a str,
    date: &'a str,
}

pub const LANGUAGE: &str = "fr-FR";
const PRODUCER: &str = "printpdf";

/// Metadata of a sheet. Never derived from the password.
pub struct About {
    title: String,
    author: String,
    /// In UTC.
    issued_at: OffsetDateTime,
    id: Vec<u8>,
}

impl About {
    pub fn new(sheet: &ConnectionSheet<'_>) -> Self {
        let issued_at = sheet.issued_at.to_offset(UtcOffset::UTC);
        let seed = format!("{}\n{}", sheet.login, issued_at.unix_timestamp_nanos());
        Self {
            title: Face::Regular.clean(&format!("{} – {}", sheet::TITLE, sheet.login)),
            author: Face::Regular.clean(sheet.service_name),
            issued_at,
            id: Sha256::digest(seed)[..16].to_vec(),
        }
    }

    pub fn id(&self) -> Object {
        Object::String(self.id.clone(), StringFormat::Hexadecimal)
    }

    pub fn information(&self) -> Dictionary {
        let [year, month, day, hour, minute, second] = self.date_parts();
        let date = text_string(&format!("D:{year}{month}{day}{hour}{minute}{second}Z"));
        let (title, author) = (text_string(&self.title), text_string(&self.author));
        dictionary! {
            "Title" => title, "Author" => author.clone(), "Creator" => author,
            "Producer" => text_string(PRODUCER), "CreationDate" => date.clone(), "ModDate" => date,
        }
    }

    /// The XMP packet.
    pub fn metadata(&self) -> Result<Stream, askama::Error> {
        let [year, month, day, hour, minute, second] = self.date_parts();
        let date = format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z");
        let (title, author) = (&self.title, &self.author);
        let xmp = Xmp { title, author, language: LANGUAGE, producer: PRODUCER, date: &date }.render()?;
        let header = dictionary! { "Type" => "Metadata", "Subtype" => "XML" };
        // Uncompressed, so that tools find it without parsing PDF.
        Ok(Stream::new(header, xmp.into_bytes()).with_compression(false))
    }

    fn date_parts(&self) -> [String; 6] {
        let at = self.issued_at;
        let two = |number: u8| format!("{number:02}");
        let year = format!("{:04}", at.year());
        [year, two(at.month().into()), two(at.day()), two(at.hour()), two(at.minute()), two(at.second())]
    }
}
