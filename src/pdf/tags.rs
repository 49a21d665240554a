//! Adds what PDF/UA-1 (ISO 14289-1) requires and printpdf lacks: structure tree, language and
//! metadata.

use lopdf::{Dictionary, Document, Object, ObjectId, dictionary, text_string};

use super::{
    about::{About, LANGUAGE},
    canvas::Canvas,
    error::PdfError,
};

pub fn complete(document: &mut Document, pages: &[Canvas], about: &About) -> Result<(), PdfError> {
    let page_ids: Vec<ObjectId> = document.page_iter().collect();
    let structure = structure_tree(document, pages, &page_ids);
    let metadata = document.add_object(about.metadata()?);
    let outline = (pages.len() > 1).then(|| outline(document, pages, &page_ids));
    let catalog = document.catalog_mut()?;
    catalog.set("StructTreeRoot", structure);
    catalog.set("MarkInfo", dictionary! { "Marked" => true });
    catalog.set("Lang", text_string(LANGUAGE));
    catalog.set("ViewerPreferences", dictionary! { "DisplayDocTitle" => true });
    catalog.set("Metadata", metadata);
    if let Some(outline) = outline {
        catalog.set("Outlines", outline);
        catalog.set("PageMode", "UseOutlines");
    }
    for (number, id) in (0_i64..).zip(page_ids) {
        let page = document.get_dictionary_mut(id)?;
        page.set("StructParents", number);
        page.set("Tabs", "S");
        page.remove(b"Annots");
    }
    document.version = "1.7".into();
    let info = document.add_object(about.information());
    document.trailer.set("Info", info);
    document.trailer.set("ID", vec![about.id(), about.id()]);
    document.prune_objects();
    Ok(())
}

/// The tree of one page, or a document with a section for each of several.
fn structure_tree(document: &mut Document, pages: &[Canvas], page_ids: &[ObjectId]) -> ObjectId {
    let tree = document.new_object_id();
    let mut owners = Vec::<Object>::new();
    let top = if let ([canvas], [page]) = (pages, page_ids) {
        add_page(document, &mut owners, (0, canvas, *page), ("Document", tree))
    } else {
        let whole = document.new_object_id();
        let mut sections = Vec::<Object>::new();
        for (number, (canvas, page)) in (0_i64..).zip(pages.iter().zip(page_ids)) {
            sections.push(add_page(document, &mut owners, (number, canvas, *page), ("Sect", whole)).into());
        }
        let node = dictionary! { "Type" => "StructElem", "S" => "Document", "P" => tree, "K" => sections };
        document.set_object(whole, node);
        whole
    };
    let next = i64::try_from(pages.len()).unwrap_or(i64::MAX);
    let parents = document.add_object(dictionary! { "Nums" => owners });
    let root = dictionary! {
        "Type" => "StructTreeRoot", "K" => top, "ParentTree" => parents, "ParentTreeNextKey" => next,
    };
    document.set_object(tree, root);
    tree
}

/// Adds the elements of a page below `parent`, and to `owners` which of them each of its marks
/// belongs to. The page's own element has the tag `whole`.
fn add_page(
    document: &mut Document,
    owners: &mut Vec<Object>,
    (number, canvas, page): (i64, &Canvas, ObjectId),
    (whole, parent): (&str, ObjectId),
) -> ObjectId {
    let ids: Vec<ObjectId> = canvas.elements.iter().map(|_| document.new_object_id()).collect();
    let mut kids = vec![Vec::<Object>::new(); ids.len()];
    for (index, element) in canvas.elements.iter().enumerate().skip(1) {
        kids[element.parent].push(ids[index].into());
    }
    let mut of_page = Vec::<Object>::new();
    for (mark, index) in canvas.marked() {
        kids[index].push(mark.into());
        of_page.push(ids[index].into());
    }
    for (index, (element, kids)) in canvas.elements.iter().zip(kids).enumerate() {
        let (tag, parent) = if index == 0 { (whole, parent) } else { (element.tag, ids[element.parent]) };
        document.set_object(ids[index], node(tag, parent, page, kids));
    }
    owners.extend([number.into(), of_page.into()]);
    ids[0]
}

fn node(tag: &str, parent: ObjectId, page: ObjectId, kids: Vec<Object>) -> Dictionary {
    let (tag, scope) = tag.split_once('-').unwrap_or((tag, "Row"));
    let mut node = dictionary! {
        "Type" => "StructElem", "S" => tag, "P" => parent, "Pg" => page, "K" => kids,
    };
    match tag {
        "TH" => node.set("A", dictionary! { "O" => "Table", "Scope" => scope }),
        "L" => node.set("A", dictionary! { "O" => "List", "ListNumbering" => "Disc" }),
        _ => (),
    }
    node
}

/// The most accounts in one branch of the outline. Readers follow entries one by one, and some stop
/// after a few hundred.
const BRANCH: usize = 50;

/// An entry of the outline.
struct Entry {
    title: String,
    page: ObjectId,
    below: Vec<Entry>,
}

/// The cover, then one entry for each account, in branches where there are many.
fn outline(document: &mut Document, pages: &[Canvas], page_ids: &[ObjectId]) -> ObjectId {
    let titled = pages.iter().zip(page_ids).filter_map(|(canvas, page)| Some((canvas.title.clone()?, *page)));
    let mut entries: Vec<Entry> = titled.map(|(title, page)| Entry { title, page, below: Vec::new() }).collect();
    if entries.len() > BRANCH {
        let accounts = entries.split_off(1);
        let mut accounts = accounts.into_iter().peekable();
        let mut first = 1;
        while accounts.peek().is_some() {
            let below: Vec<Entry> = accounts.by_ref().take(BRANCH).collect();
            let last = first + below.len() - 1;
            entries.push(Entry { title: format!("Comptes {first} à {last}"), page: below[0].page, below });
            first = last + 1;
        }
    }
    let root = document.new_object_id();
    let count = i64::try_from(entries.len()).unwrap_or_default();
    let mut node = dictionary! { "Type" => "Outlines", "Count" => count };
    if let Some((first, last)) = add_entries(document, root, entries) {
        node.set("First", first);
        node.set("Last", last);
    }
    document.set_object(root, node);
    root
}

/// Adds entries below `parent`, and returns the first and the last.
fn add_entries(document: &mut Document, parent: ObjectId, entries: Vec<Entry>) -> Option<(ObjectId, ObjectId)> {
    let ids: Vec<ObjectId> = entries.iter().map(|_| document.new_object_id()).collect();
    for (index, entry) in entries.into_iter().enumerate() {
        let mut node = dictionary! {
            "Title" => text_string(&entry.title), "Parent" => parent, "Dest" => vec![entry.page.into(), "Fit".into()],
        };
        if let Some(before) = index.checked_sub(1) {
            node.set("Prev", ids[before]);
        }
        if let Some(after) = ids.get(index + 1) {
            node.set("Next", *after);
        }
        // Negative: the branch is closed at first.
        let count = -i64::try_from(entry.below.len()).unwrap_or_default();
        if let Some((first, last)) = add_entries(document, ids[index], entry.below) {
            node.set("First", first);
            node.set("Last", last);
            node.set("Count", count);
        }
        document.set_object(ids[index], node);
    }
    Some((*ids.first()?, *ids.last()?))
}
