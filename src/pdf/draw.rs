//! Converts a [`Canvas`] to a document with printpdf, and the document to bytes.

use std::collections::BTreeSet;

use printpdf::{
    Color, DictItem, FontId, Mm, Op, PaintMode, PdfDocument, PdfFont, PdfFontHandle, PdfPage, PdfSaveOptions, Point,
    Pt, Rect, Rgb, TextItem,
};
use zeroize::{Zeroize, Zeroizing};

use super::{
    canvas::{Canvas, Fill, PAGE_HEIGHT, Run},
    error::PdfError,
    font::Face,
    style::Colour,
};

/// More than fonts and any page need, so that the buffer is never reallocated, which would leave a
/// copy.
const CAPACITY: usize = 64 * 1024;
const CAPACITY_OF_PAGE: usize = 16 * 1024;

pub fn draw(pages: &[Canvas]) -> Result<lopdf::Document, PdfError> {
    let mut pdf = PdfDocument::new("");
    for face in [Face::Regular, Face::Bold, Face::Mono] {
        let characters = pages.iter().flat_map(|canvas| characters_in(face, canvas)).collect();
        let font = PdfFont::new(face.subset(&characters)?);
        pdf.resources.fonts.map.insert(font_id(face), font);
    }
    pdf.pages = pages.iter().map(|canvas| PdfPage::new(Mm(210.0), Mm(297.0), operations(canvas))).collect();
    let document = pdf.to_lopdf_document(&PdfSaveOptions::default(), &mut Vec::new());
    zeroize_texts(&mut pdf);
    Ok(document)
}

pub fn write(mut document: lopdf::Document) -> Result<Zeroizing<Vec<u8>>, PdfError> {
    let pages = document.page_iter().count();
    let mut bytes = Zeroizing::new(Vec::with_capacity(CAPACITY + pages * CAPACITY_OF_PAGE));
    document.compress();
    if pages > 1 {
        // The structure of hundreds of pages is most of such a file: in object streams, it shrinks.
        document.save_modern(&mut *bytes)?;
    } else {
        document.save_to(&mut *bytes)?;
    }
    for object in document.objects.values_mut() {
        if let lopdf::Object::Stream(stream) = object {
            stream.content.zeroize();
        }
    }
    Ok(bytes)
}

fn characters_in(face: Face, canvas: &Canvas) -> BTreeSet<char> {
    let runs = canvas.elements.iter().flat_map(|element| &element.runs);
    runs.filter(|run| run.style.face == face).flat_map(|run| run.text.chars()).collect()
}

/// A fixed name: printpdf would generate a random one, and the file must be reproducible.
fn font_id(face: Face) -> FontId {
    FontId(face.name().replace('+', "-"))
}

/// Decoration first, as artifacts; then each marked-content sequence with its number.
fn operations(canvas: &Canvas) -> Vec<Op> {
    let mut ops = vec![Op::BeginMarkedContent { tag: "Artifact".into() }];
    ops.extend(canvas.fills.iter().flat_map(fill));
    ops.push(Op::EndMarkedContent);
    for (number, index) in canvas.marked() {
        let element = &canvas.elements[index];
        let tag = element.tag.split('-').next().unwrap_or_default().into();
        let properties = DictItem::Dict { map: [("MCID".into(), DictItem::Int(number.into()))].into() };
        ops.push(Op::BeginMarkedContentWithProperties { tag, properties });
        ops.extend(element.runs.iter().flat_map(show));
        ops.push(Op::EndMarkedContentWithProperties);
    }
    ops
}

fn fill(fill: &Fill) -> [Op; 2] {
    let rectangle = Rect {
        x: Pt(fill.x),
        y: Pt(PAGE_HEIGHT - fill.y - fill.height),
        width: Pt(fill.width),
        height: Pt(fill.height),
        mode: Some(PaintMode::Fill),
        winding_order: None,
    };
    [Op::SetFillColor { col: colour(fill.colour) }, Op::DrawRectangle { rectangle }]
}

/// One text object with one string per line, so that copied text equals the original.
fn show(run: &Run) -> [Op; 6] {
    let font = PdfFontHandle::External(font_id(run.style.face));
    [
        Op::StartTextSection,
        Op::SetFont { font, size: Pt(run.style.size) },
        Op::SetFillColor { col: colour(run.style.colour) },
        Op::SetTextCursor { pos: Point { x: Pt(run.x), y: Pt(PAGE_HEIGHT - run.y) } },
        Op::ShowText { items: vec![TextItem::Text(run.text.to_string())] },
        Op::EndTextSection,
    ]
}

fn colour([r, g, b]: Colour) -> Color {
    let part = |byte| f32::from(byte) / 255.0;
    Color::Rgb(Rgb { r: part(r), g: part(g), b: part(b), icc_profile: None })
}

fn zeroize_texts(pdf: &mut PdfDocument) {
    for op in pdf.pages.iter_mut().flat_map(|page| &mut page.ops) {
        if let Op::ShowText { items } = op {
            for item in items {
                if let TextItem::Text(text) = item {
                    text.zeroize();
                }
            }
        }
    }
}
