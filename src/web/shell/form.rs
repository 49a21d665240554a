//! The errors that a form shows when it is displayed again.

/// The errors of a form, in the order of its fields.
#[derive(Default)]
pub struct Errors(pub Vec<FieldError>);

/// The error of one field.
pub struct FieldError {
    /// The field's `name`, which is also its `id`.
    pub field: &'static str,
    /// A French sentence.
    pub message: String,
}

impl Errors {
    /// A form without errors.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// A form with an error in one field.
    pub fn one(field: &'static str, message: String) -> Self {
        Self(vec![FieldError { field, message }])
    }

    /// The error of this field.
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

/// Whether a text can be the idempotency token of a form. Ours have 43 characters of base64url.
pub fn is_form_token(text: &str) -> bool {
    (16..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}
