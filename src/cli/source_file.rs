//! Opens an import file in any of the forms in which spreadsheets save a table: UTF-16 becomes
//! UTF-8, and line ends of old Macs become line feeds. What is no text is refused by its name.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use encoding_rs::{CoderResult, Decoder, Encoding, UTF_16BE, UTF_16LE};
use thiserror::Error;

/// Why a file cannot be opened as a text.
#[derive(Debug, Error)]
pub enum SourceError {
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("is {0}, where a CSV file is wanted")]
    NoText(&'static str),
}

/// How much of a file is read to tell what it is, and at a time.
const BUFFER: usize = 1 << 16;

/// The first bytes of files that are no text, and what these are.
const OTHER_FILES: [(&[u8], &str); 14] = [
    (b"PK\x03\x04", "a workbook (.xlsx or .ods; save it as « CSV UTF-8 ») or an archive (unpack it)"),
    (b"\xd0\xcf\x11\xe0", "a workbook of an old Excel (.xls; save it as « CSV UTF-8 »)"),
    (b"%PDF", "a PDF"),
    (b"\x1f\x8b", "compressed (.gz)"),
    (b"\xff\xfe\0\0", "a text in UTF-32 (save it as « CSV UTF-8 »)"),
    (b"\x89PNG", "a picture (PNG)"),
    (b"\xff\xd8\xff", "a picture (JPEG)"),
    (b"GIF8", "a picture (GIF)"),
    (b"II*\0", "a picture (TIFF)"),
    (b"RIFF", "a picture (WebP) or a recording"),
    (b"7z\xbc\xaf", "an archive (.7z; unpack it)"),
    (b"{\\rtf", "a text document (.rtf)"),
    (b"{", "JSON"),
    (b"<", "a web page or XML"),
];

/// The file as bytes of a text whose ASCII is ASCII.
///
/// # Errors
/// Where it cannot be read, or is no text.
pub fn open(path: &Path) -> Result<Box<dyn BufRead>, SourceError> {
    decoded(BufReader::with_capacity(BUFFER, File::open(path)?))
}

/// The same for a file that is open.
///
/// # Errors
/// As there.
pub fn decoded(mut input: impl BufRead + 'static) -> Result<Box<dyn BufRead>, SourceError> {
    let first = input.fill_buf()?;
    let content = first.strip_prefix("\u{feff}".as_bytes()).unwrap_or(first);
    if let Some((_, what)) = OTHER_FILES.iter().find(|(bytes, _)| content.starts_with(bytes)) {
        return Err(SourceError::NoText(what));
    }
    match utf_16(first) {
        Some(encoding) => {
            // The byte order mark stays: `CsvLines` leaves it out.
            let decoder = encoding.new_decoder_without_bom_handling();
            let reader = Utf16 { input, decoder, pending: Vec::new(), is_over: false };
            with_line_feeds(BufReader::with_capacity(BUFFER, reader))
        }
        None if first.contains(&0) => Err(SourceError::NoText("no text: it holds zero bytes")),
        None => with_line_feeds(input),
    }
}

/// By its byte order mark; without one, by the zeros beside the letters of the column names.
fn utf_16(first: &[u8]) -> Option<&'static Encoding> {
    match first {
        [0xff, 0xfe, ..] => Some(UTF_16LE),
        [0xfe, 0xff, ..] => Some(UTF_16BE),
        [first, 0, second, 0, ..] if *first != 0 && *second != 0 => Some(UTF_16LE),
        [0, first, 0, second, ..] if *first != 0 && *second != 0 => Some(UTF_16BE),
        _ => None,
    }
}

fn with_line_feeds(mut input: impl BufRead + 'static) -> Result<Box<dyn BufRead>, SourceError> {
    let first = input.fill_buf()?;
    let is_old_mac = first.contains(&b'\r') && !first.contains(&b'\n');
    Ok(if is_old_mac { Box::new(BufReader::with_capacity(BUFFER, LineFeeds(input))) } else { Box::new(input) })
}

/// Carriage returns as line feeds.
struct LineFeeds<R>(R);

impl<R: Read> Read for LineFeeds<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buffer)?;
        for byte in buffer.iter_mut().take(read).filter(|byte| **byte == b'\r') {
            *byte = b'\n';
        }
        Ok(read)
    }
}

/// UTF-16 as UTF-8.
struct Utf16<R> {
    input: R,
    decoder: Decoder,
    /// What is decoded and was not read yet.
    pending: Vec<u8>,
    is_over: bool,
}

impl<R: BufRead> Utf16<R> {
    fn fill(&mut self) -> io::Result<()> {
        let mut text = vec![0; BUFFER];
        while self.pending.is_empty() && !self.is_over {
            let bytes = self.input.fill_buf()?;
            let is_last = bytes.is_empty();
            let (result, read, written, _) = self.decoder.decode_to_utf8(bytes, &mut text, is_last);
            self.input.consume(read);
            self.pending.extend_from_slice(text.get(..written).unwrap_or_default());
            self.is_over = is_last && result == CoderResult::InputEmpty;
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.fill()?;
        let read = self.pending.len().min(buffer.len());
        for (place, byte) in buffer.iter_mut().zip(self.pending.drain(..read)) {
            *place = byte;
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: Vec<u8>) -> Result<String, String> {
        let mut text = String::new();
        let mut input = decoded(io::Cursor::new(bytes)).map_err(|error| error.to_string())?;
        input.read_to_string(&mut text).map_err(|error| error.to_string())?;
        Ok(text)
    }

    fn utf_16(text: &str, write: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(write).collect()
    }

    #[test]
    fn utf_16_is_read_in_both_orders_with_a_byte_order_mark_and_without() {
        for mark in ["", "\u{feff}"] {
            let text = format!("{mark}Nom;Ville\r\nÉté 𝄞;Nîmes");
            for write in [u16::to_le_bytes, u16::to_be_bytes] {
                assert_eq!(read(utf_16(&text, write)).as_ref(), Ok(&text));
            }
        }
    }

    #[test]
    fn lines_of_an_old_mac_end() {
        assert_eq!(read(b"a;b\r1;2\r".to_vec()).as_deref(), Ok("a;b\n1;2\n"));
        assert_eq!(read(b"a;b\r\n1;\"2\r3\"\r\n".to_vec()).as_deref(), Ok("a;b\r\n1;\"2\r3\"\r\n"));
        assert_eq!(read(utf_16("a;b\r1;2", u16::to_le_bytes)).as_deref(), Ok("a;b\n1;2"));
    }

    #[test]
    fn what_is_no_text_is_refused_by_its_name() {
        for (bytes, named) in [
            (&b"PK\x03\x04\x14\0\x06\0"[..], ".xlsx"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1", ".xls"),
            (b"%PDF-1.7", "PDF"),
            (b"\x1f\x8b\x08", ".gz"),
            (b"\xff\xfe\0\0N\0\0\0", "UTF-32"),
            (b"Nom\0;Ville", "zero bytes"),
            (b"\x89PNG\r\n", "PNG"),
            (b"\xff\xd8\xff\xe0", "JPEG"),
            (b"\xef\xbb\xbf<!DOCTYPE html>", "a web page"),
            (b"{\"nom\": 1}", "JSON"),
            (b"{\\rtf1", ".rtf"),
        ] {
            let told = read(bytes.to_vec()).unwrap_err();
            assert!(told.contains(named), "{told}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_in_utf_16_is_read_as_it_was(text in "[^\r\0]{1,400}", repeated in 1_usize..300) {
            let text = format!("\u{feff}{}", text.repeat(repeated));
            prop_assert_eq!(read(utf_16(&text, u16::to_le_bytes)), Ok(text));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(bytes);
        }
    }
}
