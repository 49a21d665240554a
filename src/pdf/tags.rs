//! Adds what PDF/UA-1 (ISO 14289-1) requires and printpdf lacks: structure tree, language and
//! metadata.

use lopdf::{Dictionary, Document, Object, ObjectId, dictionary, text_string};

use super::{
    about::{About, LANGUAGE},
    canvas::Canvas,
    error::PdfError,
};

pub fn complete(document: &mut Document, canvas: &Canvas, about: &About) -> Result<(), PdfError> {
    let page = document.page_iter().next().ok_or(lopdf::Error::PageNumberNotFound(1))?;
    let structure = structure_tree(document, canvas, page);
    let metadata = document.add_object(about.metadata()?);
    let catalog = document.catalog_mut()?;
    catalog.set("StructTreeRoot", structure);
    catalog.set("MarkInfo", dictionary! { "Marked" => true });
    catalog.set("Lang", text_string(LANGUAGE));
    catalog.set("ViewerPreferences", dictionary! { "DisplayDocTitle" => true });
    catalog.set("Metadata", metadata);
    let page = document.get_dictionary_mut(page)?;
    page.set("StructParents", 0);
    page.set("Tabs", "S");
    page.remove(b"Annots");

    document.version = "1.7".into();
    let info = document.add_object(about.information());
    document.trailer.set("Info", info);
    document.trailer.set("ID", vec![about.id(), about.id()]);
    document.prune_objects();
    Ok(())
}

fn structure_tree(document: &mut Document, canvas: &Canvas, page: ObjectId) -> ObjectId {
    let tree = document.new_object_id();
    let ids: Vec<ObjectId> = canvas.elements.iter().map(|_| document.new_object_id()).collect();
    let mut kids = vec![Vec::<Object>::new(); ids.len()];
    for (index, element) in canvas.elements.iter().enumerate().skip(1) {
        kids[element.parent].push(ids[index].into());
    }
    let mut owners = Vec::<Object>::new();
    for (number, index) in canvas.marked() {
        kids[index].push(number.into());
        owners.push(ids[index].into());
    }
    for (index, (element, kids)) in canvas.elements.iter().zip(kids).enumerate() {
        let parent = if index == 0 { tree } else { ids[element.parent] };
        document.set_object(ids[index], node(element.tag, parent, page, kids));
    }
    let parents = document.add_object(dictionary! { "Nums" => vec![0.into(), owners.into()] });
    let root = dictionary! {
        "Type" => "StructTreeRoot", "K" => ids[0], "ParentTree" => parents, "ParentTreeNextKey" => 1,
    };
    document.set_object(tree, root);
    tree
}

fn node(tag: &str, parent: ObjectId, page: ObjectId, kids: Vec<Object>) -> Dictionary {
    let mut node = dictionary! {
        "Type" => "StructElem", "S" => tag, "P" => parent, "Pg" => page, "K" => kids,
    };
    match tag {
        "TH" => node.set("A", dictionary! { "O" => "Table", "Scope" => "Row" }),
        "L" => node.set("A", dictionary! { "O" => "List", "ListNumbering" => "Disc" }),
        _ => (),
    }
    node
}
