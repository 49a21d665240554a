//! The sheets of several accounts: a cover that lists them, then each.

use time::OffsetDateTime;

use super::{
    canvas::{Canvas, Fill},
    error::PdfError,
    font::Face::{Bold, Regular},
    page::{ACCENT, Density, FULL, GREY, INK, MARGIN, Page, RULE, WIDTH},
    sheet_data::ConnectionSheet,
    sheet_layout::{self, TITLE},
    style::{Column, Style},
    wrap::wrap,
};

/// The height that the rows of a page of the cover share: 38 of one line.
const ROWS_HEIGHT: f32 = 38.0 * (LEADING + ROW_GAPS) + 0.1;
/// The height of a line in a row, and the space before and after the lines.
const LEADING: f32 = 8.5 * 1.4;
const ROW_GAPS: f32 = ABOVE + BELOW;
const ABOVE: f32 = 1.5;
const BELOW: f32 = 2.0;
/// The columns of a row: where each begins, its width, and its lines.
const COLUMNS: [Column; 3] =
    [Column::new(MARGIN, 246.0, 2), Column::new(MARGIN + 254.0, 192.0, 2), Column::new(MARGIN + 452.0, 31.0, 1)];

/// What the sheets of a group belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupName {
    /// The batch with this number.
    Batch(i64),
    /// A link that was opened.
    Handover,
}

impl GroupName {
    /// In the file's title: « lot n° 12 ».
    pub fn title(self, sheets: usize) -> String {
        match self {
            Self::Batch(number) => format!("lot n°\u{a0}{number}"),
            Self::Handover => format!("remise de {}", accounts(sheets)),
        }
    }

    /// On the cover, before the date: « Lot n° 12, 80 comptes, émis le ».
    fn issued(self, sheets: usize) -> String {
        match self {
            Self::Batch(number) => format!("Lot n°\u{a0}{number}, {}, émis le", accounts(sheets)),
            Self::Handover => format!("Remise de {}, émise le", accounts(sheets)),
        }
    }
}

fn accounts(count: usize) -> String {
    format!("{count}\u{a0}compte{}", if count > 1 { "s" } else { "" })
}

/// Sheets of several accounts.
#[derive(Clone, Copy)]
pub struct SheetGroup<'a> {
    pub service_name: &'a str,
    pub name: GroupName,
    pub issued_on: &'a str,
    /// Date in the file's metadata.
    pub issued_at: OffsetDateTime,
    pub sheets: &'a [ConnectionSheet<'a>],
}

/// The pages in their order.
pub fn compose(group: &SheetGroup<'_>) -> Result<Vec<Canvas>, PdfError> {
    let shared = shared_label(group.sheets);
    let rows: Vec<Row<'_>> = group.sheets.iter().map(|sheet| Row::of(sheet, shared)).collect();
    let covers = on_pages(&rows);
    let (count, mut first) = (covers.len(), 0);
    let mut pages = Vec::with_capacity(count + rows.len());
    for (number, rows) in covers.into_iter().enumerate() {
        pages.push(cover(group, shared, (number, count), (first, rows)));
        first += rows.len();
    }
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

/// The label that all accounts have, where there are several.
fn shared_label<'a>(sheets: &[ConnectionSheet<'a>]) -> Option<&'a str> {
    let (first, others) = sheets.split_first()?;
    first.label.filter(|_| !others.is_empty() && others.iter().all(|sheet| sheet.label == first.label))
}

/// An account on the cover.
struct Row<'a> {
    structure: String,
    login: &'a str,
}

impl<'a> Row<'a> {
    fn of(sheet: &ConnectionSheet<'a>, shared: Option<&str>) -> Self {
        let label = sheet.label.filter(|_| shared.is_none()).map(|label| format!(" – {label}")).unwrap_or_default();
        Self { structure: format!("{}{label}", sheet.structure_designation), login: sheet.login }
    }

    fn height(&self) -> f32 {
        let has_two = |column, text: &str| wrap(ROW, column, &[text]).len() > 1;
        let two = has_two(COLUMNS[0], &self.structure) || has_two(COLUMNS[1], self.login);
        if two { 2.0 * LEADING + ROW_GAPS } else { LEADING + ROW_GAPS }
    }
}

/// The style of the rows.
const ROW: Style = Style { face: Regular, size: DENSITY.size - 1.0, colour: INK };
const DENSITY: Density = Density { size: 9.5, gap: 1.0, lines: 1 };

/// The rows of each page of the cover.
fn on_pages<'r, 'a>(mut rows: &'r [Row<'a>]) -> Vec<&'r [Row<'a>]> {
    let mut pages = Vec::new();
    loop {
        let mut height = 0.0;
        let fits = |row: &&Row<'_>| {
            height += row.height();
            height <= ROWS_HEIGHT
        };
        let (page, rest) = rows.split_at(rows.iter().take_while(fits).count());
        pages.push(page);
        if rest.is_empty() || page.is_empty() {
            return pages;
        }
        rows = rest;
    }
}

/// The page `number` of `covers` that list the accounts, of which `first` come before its rows,
/// with their pages.
fn cover(
    group: &SheetGroup<'_>,
    shared: Option<&str>,
    (number, covers): (usize, usize),
    (first, rows): (usize, &[Row<'_>]),
) -> Canvas {
    let mut page = Page { canvas: Canvas::new(), density: DENSITY };
    page.header(group.service_name);
    page.skip(30.0);
    page.text("H1", Style::new(Bold, 23.0, ACCENT), FULL, &[TITLE]);
    page.skip(4.0);
    let part = if covers > 1 { format!(", page {} sur {covers} de la liste", number + 1) } else { String::new() };
    let label = shared.map(|label| format!(" Libellé\u{a0}: {label}.")).unwrap_or_default();
    let sentence = format!("{} {}{part}.{label}", group.name.issued(group.sheets.len()), group.issued_on);
    page.text("P", page.body(GREY), FULL, &[&sentence]);
    page.skip(10.0);
    page.canvas.begin("Table");
    let structure = if shared.is_some() { "Structure" } else { "Structure et libellé" };
    page.columns(["TH-Column"; 3], page.small(Bold, ACCENT), [structure, "Identifiant de connexion", "Page"]);
    for (index, row) in rows.iter().enumerate() {
        page.canvas.fill(Fill::new(MARGIN, page.canvas.y, WIDTH, 0.5, RULE));
        page.skip(ABOVE);
        let place = (covers + first + index + 1).to_string();
        page.columns(["TD", "TH", "TD"], ROW, [&row.structure, row.login, &place]);
    }
    page.canvas.end();
    if number == 0 {
        page.canvas.title = Some("Liste des comptes".to_owned());
    }
    page.canvas
}

impl Page {
    /// Adds a row of three cells side by side.
    fn columns(&mut self, tags: [&'static str; 3], style: Style, cells: [&str; 3]) {
        let top = self.canvas.y;
        let mut below = top + style.leading();
        self.canvas.begin("TR");
        for ((tag, column), cell) in tags.into_iter().zip(COLUMNS).zip(cells) {
            self.canvas.y = top;
            self.text(tag, style, column, &[cell]);
            below = below.max(self.canvas.y);
        }
        self.canvas.end();
        self.canvas.y = below;
        self.skip(BELOW);
    }
}
