//! What the file says about itself: properties, XMP, identity.

use lopdf::{Dictionary, Object, Stream, StringFormat, dictionary, text_string};
use sha2::{Digest, Sha256};
use time::{OffsetDateTime, UtcOffset};

use super::{content::ConnectionSheet, font::Face, sheet};

pub const LANGUAGE: &str = "fr-FR";
const PRODUCER: &str = "printpdf";

/// It never sees the password.
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
        let [year, month, day, hour, minute, second] = self.stamp();
        let stamp = text_string(&format!("D:{year}{month}{day}{hour}{minute}{second}Z"));
        let (title, author) = (text_string(&self.title), text_string(&self.author));
        dictionary! {
            "Title" => title, "Author" => author.clone(), "Creator" => author,
            "Producer" => text_string(PRODUCER), "CreationDate" => stamp.clone(), "ModDate" => stamp,
        }
    }

    pub fn metadata(&self) -> Stream {
        let [year, month, day, hour, minute, second] = self.stamp();
        let stamp = format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z");
        let xmp = include_str!("metadata.xml")
            .replace("{language}", LANGUAGE)
            .replace("{producer}", PRODUCER)
            .replace("{date}", &stamp)
            .replace("{author}", &escape(&self.author))
            .replace("{title}", &escape(&self.title));
        let header = dictionary! { "Type" => "Metadata", "Subtype" => "XML" };
        // Plain, so that tools can find it without understanding PDF.
        Stream::new(header, xmp.into_bytes()).with_compression(false)
    }

    fn stamp(&self) -> [String; 6] {
        let at = self.issued_at;
        let two = |number: u8| format!("{number:02}");
        let year = format!("{:04}", at.year());
        [year, two(at.month().into()), two(at.day()), two(at.hour()), two(at.minute()), two(at.second())]
    }
}

/// For XML; and a brace, so that no value reads as a placeholder of the template.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('{', "&#123;")
}
