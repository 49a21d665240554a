//! The sheets of several accounts: a cover that lists them, then each.

use time::OffsetDateTime;

use super::{
    canvas::Canvas,
    error::PdfError,
    font::Face::{Bold, Regular},
    page::{ACCENT, Density, FULL, GREY, INK, MARGIN, Page, RULE, WIDTH},
    sheet_data::ConnectionSheet,
    sheet_layout::{self, TITLE},
    style::{Column, Style},
};

/// Rows of a page of the cover.
const ROWS: usize = 38;
/// The columns of a row: where each begins, and its width.
const COLUMNS: [(f32, f32); 3] = [(0.0, 232.0), (240.0, 205.0), (452.0, 31.0)];

/// Sheets of several accounts.
#[derive(Clone, Copy)]
pub struct SheetGroup<'a> {
    pub service_name: &'a str,
    /// What the sheets belong to, « lot n° 12 ».
    pub name: &'a str,
    pub issued_on: &'a str,
    /// Date in the file's metadata.
    pub issued_at: OffsetDateTime,
    pub sheets: &'a [ConnectionSheet<'a>],
}

/// The pages in their order.
pub fn compose(group: &SheetGroup<'_>) -> Result<Vec<Canvas>, PdfError> {
    let covers = group.sheets.len().div_ceil(ROWS).max(1);
    let mut pages: Vec<Canvas> = (0..covers).map(|number| cover(group, number, covers)).collect();
    for sheet in group.sheets {
        let title = match sheet.label {
            Some(label) => format!("{} – {label}", sheet.structure_designation),
            None => sheet.structure_designation.to_owned(),
        };
        let mut page = sheet_layout::compose(sheet)?;
        page.title = Some(Regular.clean(&title));
        pages.push(page);
    }
    Ok(pages)
}

/// The page `number` of `covers` that list the accounts with their pages.
fn cover(group: &SheetGroup<'_>, number: usize, covers: usize) -> Canvas {
    let mut page = Page { canvas: Canvas::new(), density: Density { size: 9.5, gap: 1.0, lines: 1 } };
    page.header(group.service_name);
    page.skip(30.0);
    page.text("H1", Style::new(Bold, 23.0, ACCENT), FULL, &[TITLE]);
    page.skip(4.0);
    let count = group.sheets.len();
    let part = if covers > 1 { format!(", page {} sur {covers} de la liste", number + 1) } else { String::new() };
    let sentence = format!("{}, {count} comptes, émis le {}{part}.", group.name, group.issued_on);
    page.text("P", page.body(GREY), FULL, &[&capitalized(&sentence)]);
    page.skip(10.0);
    page.canvas.begin("Table");
    page.columns(
        ["TH-Column"; 3],
        page.small(Bold, ACCENT),
        ["Structure et libellé", "Identifiant de connexion", "Page"],
    );
    for (index, sheet) in group.sheets.iter().enumerate().skip(number * ROWS).take(ROWS) {
        page.canvas.fill(MARGIN, page.canvas.y, WIDTH, 0.5, RULE);
        page.skip(1.5);
        let label = sheet.label.map(|label| format!(" – {label}")).unwrap_or_default();
        let structure = format!("{}{label}", sheet.structure_designation);
        let place = (covers + index + 1).to_string();
        page.columns(["TD", "TH", "TD"], page.small(Regular, INK), [&structure, sheet.login, &place]);
    }
    page.canvas.end();
    if number == 0 {
        page.canvas.title = Some("Liste des comptes".to_owned());
    }
    page.canvas
}

fn capitalized(sentence: &str) -> String {
    let mut characters = sentence.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

impl Page {
    /// Adds a row of three cells side by side, of one line each.
    fn columns(&mut self, tags: [&'static str; 3], style: Style, cells: [&str; 3]) {
        let top = self.canvas.y;
        self.canvas.begin("TR");
        for ((tag, (x, width)), cell) in tags.into_iter().zip(COLUMNS).zip(cells) {
            self.canvas.y = top;
            self.text(tag, style, Column::new(MARGIN + x, width, 1), &[cell]);
        }
        self.canvas.end();
        self.canvas.y = top + style.leading();
        self.skip(2.0);
    }
}
