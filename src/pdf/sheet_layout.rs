//! The sheet's layout and French texts.

use super::{
    canvas::{Canvas, Fill, PAGE_HEIGHT, PAGE_WIDTH},
    error::PdfError,
    font::Face::{Bold, Mono, Regular},
    page::{ACCENT, BAND, Density, FRAMED, FULL, GREY, GROUP, INK, LABELS, MARGIN, PALE, Page, WHITE, WIDTH},
    sheet_data::ConnectionSheet,
    style::{Column, Style},
};
use crate::domain::password::groups;

pub const TITLE: &str = "Informations de connexion";

/// Tried in order until everything fits on the page. The last one always fits, as a test checks.
const DENSITIES: [Density; 4] = [
    Density { size: 10.0, gap: 1.0, lines: 8 },
    Density { size: 9.5, gap: 0.75, lines: 8 },
    Density { size: 9.0, gap: 0.5, lines: 8 },
    Density { size: 8.0, gap: 0.3, lines: 3 },
];

pub fn compose(sheet: &ConnectionSheet<'_>) -> Result<Canvas, PdfError> {
    let mut canvas = Canvas::new();
    for density in DENSITIES {
        canvas = Page::compose(sheet, density)?;
        if canvas.y <= PAGE_HEIGHT - MARGIN {
            break;
        }
    }
    Ok(canvas)
}

impl Page {
    fn compose(sheet: &ConnectionSheet<'_>, density: Density) -> Result<Canvas, PdfError> {
        let mut page = Self { canvas: Canvas::new(), density };
        page.header(sheet.service_name);
        page.introduction();
        page.credentials(sheet)?;
        page.account(sheet);
        page.structure(sheet);
        page.connection(sheet);
        page.keeping(sheet);
        Ok(page.canvas)
    }

    /// The band at the top.
    pub fn header(&mut self, service_name: &str) {
        self.canvas.fill(Fill::new(0.0, 0.0, PAGE_WIDTH, BAND, ACCENT));
        let middle = |style: Style| (BAND - style.leading()) / 2.0;
        let (name, small) = (Style::new(Bold, 15.0, WHITE), Style::new(Regular, 9.0, WHITE));
        let notice = "Document confidentiel";
        let right = PAGE_WIDTH - MARGIN - Regular.width(9.0, notice);

        self.canvas.y = middle(name);
        self.text("P", name, Column::new(MARGIN, WIDTH - LABELS, 1), &[service_name]);
        self.canvas.y = middle(small);
        self.text("P", small, Column::new(right, LABELS, 1), &[notice]);
        self.canvas.y = BAND;
    }

    fn introduction(&mut self) {
        self.skip(30.0);
        self.text("H1", Style::new(Bold, 23.0, ACCENT), FULL, &[TITLE]);
        self.skip(6.0);
        let text = "Cette fiche concerne un utilisateur technique\u{a0}: le compte par lequel un \
                    système d’information externe se connecte à l’API de la plateforme. Il ne \
                    permet pas de se connecter au portail.";
        self.text("P", self.body(GREY), FULL, &[text]);
    }

    /// Login and password, in a frame.
    fn credentials(&mut self, sheet: &ConnectionSheet<'_>) -> Result<(), PdfError> {
        self.skip(16.0);
        let (top, frame) = (self.canvas.y, self.canvas.fills.len());
        self.canvas.fill(Fill::new(MARGIN, top, WIDTH, 0.0, PALE));
        self.canvas.fill(Fill::new(MARGIN, top, 4.0, 0.0, ACCENT));
        let behind = self.canvas.fills.len();
        self.skip(17.0);
        self.canvas.begin("Table");
        self.credential("Identifiant de connexion", 12.0, sheet.login)?;
        self.skip(12.0);
        self.credential("Mot de passe", 19.0, sheet.password)?;
        self.groups(sheet.password);
        self.canvas.end();
        self.skip(6.0);
        let notice = "Ce mot de passe ne sera jamais réaffiché. Sans espace\u{a0}; majuscules et minuscules \
                      comptent.";
        self.text("P", self.small(Regular, GREY), FRAMED, &[notice]);
        self.skip(15.0);
        for fill in &mut self.canvas.fills[frame..behind] {
            fill.height = self.canvas.y - top;
        }
        Ok(())
    }

    /// Grounds behind every second group of the text that was drawn last. The text itself has no
    /// gaps, which readers would copy as spaces.
    fn groups(&mut self, text: &str) {
        let Some(run) = self.canvas.elements.last().and_then(|element| element.runs.last()) else { return };
        let (style, mut x, y) = (run.style, run.x, run.y - run.style.size);
        for (number, group) in groups(text).enumerate() {
            let width = style.face.width(style.size, group);
            if number % 2 == 1 {
                self.canvas.fill(Fill::new(x, y, width, style.leading(), GROUP));
            }
            x += width;
        }
    }

    fn credential(&mut self, label: &str, size: f32, value: &str) -> Result<(), PdfError> {
        let (heading, style) = (self.small(Bold, ACCENT), Style::new(Mono, size, INK));
        self.canvas.begin("TR");
        self.text("TH", heading, FRAMED, &[label]);
        self.canvas.exact("TD", style, FRAMED, value)?;
        self.canvas.end();
        Ok(())
    }

    fn account(&mut self, sheet: &ConnectionSheet<'_>) {
        self.section("Compte", "Table");
        self.row("Libellé", &[sheet.label.unwrap_or_default()]);
        self.row("Adresse de contact", &[sheet.contact_address]);
        self.row("Échéance du mot de passe", &[sheet.expires_on]);
        self.row("Ancien mot de passe", &[sheet.former_until.unwrap_or_default()]);
        self.row("Réseaux autorisés", &[sheet.networks.unwrap_or_default()]);
        self.row("Structures ouvertes", &[sheet.structures.unwrap_or_default()]);
        self.row("Fiche émise le", &[sheet.issued_on]);
        self.canvas.end();
    }

    fn structure(&mut self, sheet: &ConnectionSheet<'_>) {
        self.section("Structure", "Table");
        self.row("Désignation", &[sheet.structure_designation]);
        self.row("Identifiant", &[sheet.structure_identifier]);
        self.row("Adresse postale", sheet.structure_address);
        self.canvas.end();
    }

    fn connection(&mut self, sheet: &ConnectionSheet<'_>) {
        let fields = "par POST\u{a0}: grant_type=client_credentials, l’identifiant comme client_id, le mot de \
                      passe comme client_secret";
        self.section("Se connecter à l’API", "Table");
        self.row("Adresse de l’API", &[sheet.api_url]);
        self.row("Jeton OAuth 2.0", &[sheet.token_url, fields]);
        self.row("Ou en-tête HTTP", &["cpro-account: base64(identifiant:mot de passe)"]);
        self.row("Documentation de l’API", &[sheet.documentation_url]);
        self.canvas.end();
    }

    fn keeping(&mut self, sheet: &ConnectionSheet<'_>) {
        self.section(sheet.keeping.title, "L");
        for advice in sheet.keeping.advice {
            self.item(advice);
        }
        self.canvas.end();
    }
}
