//! The file's metadata: document properties, XMP and identifier.

use askama::Template;
use lopdf::{Dictionary, Object, Stream, StringFormat, dictionary, text_string};
use sha2::{Digest, Sha256};
use time::{OffsetDateTime, UtcOffset};

use super::{font::Face, group::SheetGroup, sheet_data::ConnectionSheet, sheet_layout};

/// The XMP packet. askama escapes the values for XML.
#[derive(Template)]
#[template(
    ext = "xml",
    source = r#"<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:pdf="http://ns.adobe.com/pdf/1.3/"
    xmlns:pdfuaid="http://www.aiim.org/pdfua/ns/id/"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/">
   <dc:format>application/pdf</dc:format>
   <dc:title><rdf:Alt><rdf:li xml:lang="x-default">{{ title }}</rdf:li></rdf:Alt></dc:title>
   <dc:creator><rdf:Seq><rdf:li>{{ author }}</rdf:li></rdf:Seq></dc:creator>
   <dc:language><rdf:Bag><rdf:li>{{ language }}</rdf:li></rdf:Bag></dc:language>
   <pdf:Producer>{{ producer }}</pdf:Producer>
   <pdfuaid:part>1</pdfuaid:part>
   <xmp:CreatorTool>{{ author }}</xmp:CreatorTool>
   <xmp:CreateDate>{{ date }}</xmp:CreateDate>
   <xmp:ModifyDate>{{ date }}</xmp:ModifyDate>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"#
)]
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
        Self::titled(sheet.login, sheet.service_name, sheet.issued_at)
    }

    pub fn of_group(group: &SheetGroup<'_>) -> Self {
        Self::titled(&group.name.title(group.sheets.len()), group.service_name, group.issued_at)
    }

    fn titled(subject: &str, service_name: &str, issued_at: OffsetDateTime) -> Self {
        let issued_at = issued_at.to_offset(UtcOffset::UTC);
        let seed = format!("{subject}\n{}", issued_at.unix_timestamp_nanos());
        Self {
            title: Face::Regular.clean(&format!("{} – {subject}", sheet_layout::TITLE)),
            author: Face::Regular.clean(service_name),
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
