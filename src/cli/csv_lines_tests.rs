use proptest::prelude::*;

use super::*;

fn read(bytes: &[u8]) -> Vec<NumberedLine> {
    let mut lines = CsvLines::new(bytes);
    std::iter::from_fn(|| lines.next_line().unwrap()).collect()
}

fn fields(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

#[test]
fn every_encoding_and_line_break_reads_the_same() {
    let expected = vec![(1, Ok(fields(&["Nom", "Ville"]))), (2, Ok(fields(&["Été", "Nîmes"])))];
    for bytes in [
        "Nom;Ville\nÉté;Nîmes".as_bytes().to_vec(),
        "\u{feff}Nom;Ville\r\nÉté;Nîmes\r\n".as_bytes().to_vec(),
        b"Nom;Ville\r\n\xc9t\xe9;N\xeemes\r\n".to_vec(),
    ] {
        assert_eq!(read(&bytes), expected);
    }
}

#[test]
fn windows_quotes_and_the_oe_are_read() {
    assert_eq!(read(b"L\x92\x9cuvre;10 \x80"), [(1, Ok(fields(&["L’œuvre", "10 €"])))]);
}

#[test]
fn line_numbers_count_blank_lines_and_those_within_quotes() {
    let text = "a;b\r\n\r\n\"x;\"\"y\"\"\r\nz\";1\r\n;\r\nlast;\"\"";
    assert_eq!(
        read(text.as_bytes()),
        [
            (1, Ok(fields(&["a", "b"]))),
            (3, Ok(fields(&["x;\"y\"\r\nz", "1"]))),
            (5, Ok(fields(&["", ""]))),
            (6, Ok(fields(&["last", ""]))),
        ]
    );
}

#[test]
fn an_unclosed_quote_spoils_its_own_line_only() {
    let text = "a;b\n1;\"open\n2;ok\n3;ok\n";
    assert_eq!(
        read(text.as_bytes()),
        [
            (1, Ok(fields(&["a", "b"]))),
            (2, Err(LineError::QuoteNotClosed)),
            (3, Ok(fields(&["2", "ok"]))),
            (4, Ok(fields(&["3", "ok"]))),
        ]
    );
}

#[test]
fn the_header_or_a_line_before_it_says_what_separates_fields() {
    for text in
        ["A;B\n1;2", "A\tB\n1\t2", "A,B\n1,2", "sep=;\r\nA;B\n1;2", "\u{feff}SEP=|\nA|B\n1|2", "\"sep=\t\"\nA\tB\n1\t2"]
    {
        let mut lines = CsvLines::new(text.as_bytes());
        let (_, header) = lines.header(|names| names == ["A", "B"]).unwrap().unwrap();
        assert_eq!(header.as_deref(), Ok(&fields(&["A", "B"])[..]), "{text}");
        assert_eq!(lines.next_line().unwrap().unwrap().1, Ok(fields(&["1", "2"])), "{text}");
    }
    // A comma is one of the text where the header has semicolons.
    let mut lines = CsvLines::new(&b"A;B\n1,5;2"[..]);
    lines.header(|names| names == ["A", "B"]).unwrap();
    assert_eq!(lines.next_line().unwrap(), Some((2, Ok(fields(&["1,5", "2"])))));
}

#[test]
fn a_line_that_cannot_be_split_is_kept_as_it_stands() {
    let mut lines = CsvLines::new(&b"a;b\n1;\"open \xe9\n2;ok\n"[..]);
    lines.next_line().unwrap();
    assert_eq!(lines.next_line().unwrap(), Some((2, Err(LineError::QuoteNotClosed))));
    assert_eq!(lines.unreadable(), "1;\"open é");
}

#[test]
fn a_quote_inside_a_word_is_just_a_quote() {
    assert_eq!(read(b"12\" pipe;\"a\"b"), [(1, Ok(fields(&["12\" pipe", "ab"])))]);
}

#[test]
fn a_line_without_end_is_refused_and_the_next_one_read() {
    let mut bytes = vec![b'x'; 3 * LONGEST_RECORD];
    bytes.extend(b"\na;b\n");
    assert_eq!(read(&bytes), [(1, Err(LineError::TooLong)), (2, Ok(fields(&["a", "b"])))]);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(prop_oneof![
        Just(b'"'), Just(b';'), Just(b'\n'), Just(b'\r'), any::<u8>()
    ], 0..300)) {
        let numbers: Vec<u64> = read(&bytes).into_iter().map(|(number, _)| number).collect();
        prop_assert!(numbers.is_sorted_by(|one, other| one < other));
        prop_assert!(numbers.last().is_none_or(|last| *last <= bytes.split(|byte| *byte == b'\n').count() as u64));
    }

    #[test]
    fn what_the_csv_crate_writes_is_read_back(
        records in prop::collection::vec(prop::collection::vec("[a-zé;\"\r\n ]{0,8}", 2..5), 1..8)
    ) {
        let mut writer = csv::WriterBuilder::new().delimiter(b';').flexible(true).from_writer(Vec::new());
        // A record of only spaces and line breaks is read as a blank line.
        let records: Vec<_> = records.into_iter().filter(|record| record.concat().contains(|c: char| !c.is_whitespace())).collect();
        for record in &records {
            writer.write_record(record).unwrap();
        }
        let bytes = writer.into_inner().unwrap();
        let read: Vec<_> = read(&bytes).into_iter().map(|(_, fields)| fields.unwrap()).collect();
        prop_assert_eq!(read, records);
    }
}
