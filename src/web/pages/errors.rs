use askama::Template;

use crate::web::layout::Layout;

/// Any error page: the status chooses the words.
#[derive(Template)]
#[template(path = "error.html")]
pub struct ErrorPage {
    pub layout: Layout,
    pub status: u16,
    pub request_number: String,
}
