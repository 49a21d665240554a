use askama::Template;

use crate::web::layout::Layout;

/// « Calendrier des échéances ».
#[derive(Template)]
#[template(path = "activities/calendar.html")]
pub struct CalendarPage {
    pub layout: Layout,
    /// The link to subscribe to, when it has just been made.
    pub link: Option<String>,
}
