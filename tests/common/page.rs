//! Reads pages by what people see and what their forms send. It is not a full parser: it relies on
//! attributes in double quotes and closed elements.

/// A page's HTML.
#[derive(Clone, Debug)]
pub struct Page(String);

/// An element: its attributes as written, and what stands between its tags.
#[derive(Clone, Copy, Debug)]
struct Element<'a> {
    attributes: &'a str,
    content: &'a str,
}

const VOID: [&str; 4] = ["input", "br", "wbr", "link"];
/// Elements that do not separate the words around them.
const INLINE: [&str; 9] = ["a", "code", "em", "mark", "output", "span", "strong", "time", "wbr"];

impl Page {
    pub fn new(html: String) -> Self {
        Self(html)
    }

    pub fn html(&self) -> &str {
        &self.0
    }

    /// What `<main>` says, as one line.
    pub fn text(&self) -> String {
        self.first("main").map(|main| text(main.content)).expect("the page has a main part")
    }

    /// What the whole body says, header and footer too.
    pub fn whole_text(&self) -> String {
        self.first("body").map(|body| text(body.content)).expect("the page has a body")
    }

    pub fn title(&self) -> String {
        self.first("title").map(|title| text(title.content)).expect("the page has a title")
    }

    pub fn heading(&self) -> String {
        self.first("h1").map(|heading| text(heading.content)).expect("the page has a heading")
    }

    #[track_caller]
    pub fn assert_says(&self, sentence: &str) {
        let text = self.text();
        assert!(text.contains(sentence), "« {sentence} » is not on the page: {text}");
    }

    /// The value beside a term of a list of facts.
    #[track_caller]
    pub fn fact(&self, term: &str) -> String {
        let facts = elements(&self.0, "dl").flat_map(|list| elements(list.content, "div"));
        let mut found = facts.filter(|fact| elements(fact.content, "dt").any(|dt| text(dt.content) == term));
        let fact = found.next().unwrap_or_else(|| panic!("no fact « {term} » on the page: {}", self.text()));
        elements(fact.content, "dd").map(|dd| text(dd.content)).collect()
    }

    /// The rows of all tables, cell by cell, without heads.
    pub fn rows(&self) -> Vec<Vec<String>> {
        let bodies = elements(&self.0, "tbody");
        bodies.flat_map(|body| elements(body.content, "tr")).map(|row| cells(row.content)).collect()
    }

    /// What the element with this id says.
    pub fn by_id(&self, element: &'static str, id: &str) -> Option<String> {
        let mut found =
            elements(&self.0, element).filter(|element| attribute(element.attributes, "id").as_deref() == Some(id));
        found.next().map(|element| text(element.content))
    }

    /// Where the link with this text leads.
    #[track_caller]
    pub fn link(&self, label: &str) -> String {
        self.find_link(label).unwrap_or_else(|| panic!("no link « {label} » on the page: {}", self.text()))
    }

    pub fn find_link(&self, label: &str) -> Option<String> {
        elements(&self.0, "a")
            .find(|link| text(link.content) == label)
            .and_then(|link| attribute(link.attributes, "href"))
    }

    /// The labels of all buttons.
    pub fn buttons(&self) -> Vec<String> {
        elements(&self.0, "button").map(|button| text(button.content)).collect()
    }

    /// What the first form that posts to `action` sends as it stands, by field.
    #[track_caller]
    pub fn form(&self, action: &str) -> Vec<(String, String)> {
        let mut posts = elements(&self.0, "form")
            .filter(|form| attribute(form.attributes, "method").as_deref() == Some("post"))
            .filter(|form| attribute(form.attributes, "action").as_deref() == Some(action));
        let form = posts.next().unwrap_or_else(|| panic!("no form posts to {action}: {}", self.0));
        let texts = elements(form.content, "textarea").filter_map(|area| {
            let typed = area.content.strip_prefix('\n').unwrap_or(area.content);
            Some((attribute(area.attributes, "name")?, decode(typed)))
        });
        elements(form.content, "input").filter_map(|input| field(input.attributes)).chain(texts).collect()
    }

    pub fn has_form(&self, action: &str) -> bool {
        elements(&self.0, "form").any(|form| attribute(form.attributes, "action").as_deref() == Some(action))
    }

    /// The value of the first field with this name.
    #[track_caller]
    pub fn field(&self, name: &str) -> String {
        let mut fields = elements(&self.0, "input").filter_map(|input| field(input.attributes));
        fields
            .find(|(field, _)| field == name)
            .map_or_else(|| panic!("no field {name}: {}", self.0), |(_, value)| value)
    }

    /// The password of a récapitulatif that shows one.
    pub fn password(&self) -> Option<String> {
        self.by_id("output", "mot-de-passe")
    }

    fn first(&self, name: &'static str) -> Option<Element<'_>> {
        elements(&self.0, name).next()
    }
}

/// The name and value that a field sends unchanged.
fn field(attributes: &str) -> Option<(String, String)> {
    let kind = attribute(attributes, "type").unwrap_or_default();
    let is_chosen = attributes.split_whitespace().any(|word| word == "checked");
    let sends = !matches!(kind.as_str(), "radio" | "checkbox") || is_chosen;
    sends.then_some(())?;
    Some((attribute(attributes, "name")?, attribute(attributes, "value").unwrap_or_default()))
}

fn cells(row: &str) -> Vec<String> {
    let mut rest = row;
    let mut cells = Vec::new();
    while let Some((at, name)) = ["th", "td"].into_iter().filter_map(|name| Some((find_open(rest, name)?, name))).min()
    {
        let Some((element, after)) = element_at(rest, at, name) else { break };
        cells.push(text(element.content));
        rest = after;
    }
    cells
}

/// The elements of this name, in order; none inside one another.
fn elements<'a>(html: &'a str, name: &'static str) -> impl Iterator<Item = Element<'a>> {
    let mut rest = html;
    std::iter::from_fn(move || {
        let (element, after) = element_at(rest, find_open(rest, name)?, name)?;
        rest = after;
        Some(element)
    })
}

/// The element that begins at `at`, and what follows it.
fn element_at<'a>(html: &'a str, at: usize, name: &str) -> Option<(Element<'a>, &'a str)> {
    let from = &html[at + 1 + name.len()..];
    let (attributes, inside) = from.split_once('>')?;
    if VOID.contains(&name) {
        return Some((Element { attributes, content: "" }, inside));
    }
    let close = format!("</{name}>");
    let (mut depth, mut end) = (1, 0);
    while depth > 0 {
        let next_close = end + inside[end..].find(&close)?;
        let next_open = find_open(&inside[end..], name).map(|open| end + open).filter(|open| *open < next_close);
        (depth, end) = if let Some(open) = next_open {
            (depth + 1, open + 1 + name.len())
        } else {
            (depth - 1, next_close + close.len())
        };
    }
    Some((Element { attributes, content: &inside[..end - close.len()] }, &inside[end..]))
}

/// Where the next `<name` stands that is not the beginning of a longer name.
fn find_open(html: &str, name: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + html[from..].find('<')?;
        let after = html[at + 1..].strip_prefix(name);
        if after.is_some_and(|after| after.starts_with(['>', ' ', '\n'])) {
            return Some(at);
        }
        from = at + 1;
    }
}

fn attribute(attributes: &str, name: &str) -> Option<String> {
    let (_, from) = attributes.split_once(&format!(" {name}=\""))?;
    Some(decode(from.split_once('"')?.0))
}

/// The text of an element's content, without tags, with single spaces between words.
fn text(html: &str) -> String {
    let mut plain = String::with_capacity(html.len());
    let mut rest = html;
    while let Some((before, after)) = rest.split_once('<') {
        plain.push_str(before);
        let (tag, after) = after.split_once('>').unwrap_or((after, ""));
        let name: &str = tag.trim_start_matches('/').split_whitespace().next().unwrap_or_default();
        if !INLINE.contains(&name) {
            plain.push(' ');
        }
        rest = after;
    }
    plain.push_str(rest);
    decode(&plain.split([' ', '\n', '\t']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "))
}

fn decode(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        plain.push_str(before);
        let Some((entity, after)) = after.split_once(';') else {
            plain.push('&');
            rest = after;
            continue;
        };
        plain.push(match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            number => {
                let code = number.strip_prefix('#').and_then(|code| code.parse().ok()).and_then(char::from_u32);
                code.unwrap_or_else(|| panic!("an unknown entity: &{number};"))
            }
        });
        rest = after;
    }
    plain + rest
}

#[test]
fn the_reader_reads_what_people_see() {
    let page = Page::new(
        "<body><main><h1>Un &#38; deux</h1><div>a<wbr>b</div><div>c<div>d</div></div></main>\
         <form method=\"post\" action=\"/x\"><input type=\"hidden\" name=\"jeton\" value=\"&#34;\"><input type=\"radio\" name=\"r\" \
         value=\"1\"><input type=\"radio\" name=\"r\" value=\"2\" checked></form></body>"
            .into(),
    );
    assert_eq!((page.heading(), page.text()), ("Un & deux".into(), "Un & deux ab c d".into()));
    assert_eq!(page.form("/x"), [("jeton".into(), "\"".into()), ("r".into(), "2".into())]);
}
