//! The errors of a form.

/// What must be mended in a form, in the order of its fields.
#[derive(Default)]
pub struct Errors(pub Vec<FieldError>);

/// One field's error: the field's `name`, which is also its `id`, and a French sentence.
pub struct FieldError {
    pub field: &'static str,
    pub message: String,
}

impl Errors {
    /// For a form that answers with one sentence and no field errors.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    pub fn on(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|error| error.field == field).map(|error| error.message.as_str())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }
}
