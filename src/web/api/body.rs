//! Reads the JSON bodies of calls, tolerantly, with error messages in French.

use axum::{
    body::Bytes,
    extract::{DefaultBodyLimit, FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
};
use encoding_rs::{Encoding, UTF_8};
use serde::de::DeserializeOwned;

use super::{error::ApiError, tolerant::Object};
use crate::web::edge::body_limit::MAX_BODY_BYTES;

/// The error message for a body that was cut off.
pub const INCOMPLETE: &str = "Le corps de la requête n’a pas été reçu en entier.";

/// Reads a call's body. An empty body, like `null`, is the default.
///
/// # Errors
/// [`ApiError::BadRequest`] with the member at fault, [`ApiError::TooLarge`] or
/// [`ApiError::UnsupportedMediaType`].
pub async fn read<T: DeserializeOwned + Default>(request: Request) -> Result<T, ApiError> {
    let charset = charset(request.headers());
    let bytes = whole(request).await?;
    if bytes.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    let (text, _, malformed) = charset.ok_or(ApiError::UnsupportedMediaType)?.decode(&bytes);
    if malformed {
        return Err(ApiError::BadRequest("Le corps de la requête n’est pas un texte valide.".into()));
    }
    parse(&text)
}

/// Reads a body into memory; `server::connections` limits the time that it may take.
///
/// # Errors
/// [`ApiError::TooLarge`], or [`ApiError::BadRequest`] where it was cut off.
pub async fn whole(mut request: Request) -> Result<Bytes, ApiError> {
    DefaultBodyLimit::max(MAX_BODY_BYTES).apply(&mut request);
    Bytes::from_request(request, &()).await.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::TooLarge,
        _ => ApiError::BadRequest(INCOMPLETE.into()),
    })
}

/// The charset of a JSON body; `None` where the content type is not JSON.
fn charset(headers: &HeaderMap) -> Option<&'static Encoding> {
    let mut parts = headers.get(header::CONTENT_TYPE)?.to_str().ok()?.split(';');
    let kind = parts.next()?.trim();
    let is_like_json = |kind: String| kind.starts_with("application/") && kind.ends_with("+json");
    if !kind.eq_ignore_ascii_case("application/json") && !is_like_json(kind.to_ascii_lowercase()) {
        return None;
    }
    let named = parts.find_map(|part| part.trim().to_ascii_lowercase().strip_prefix("charset=").map(str::to_owned));
    Some(named.and_then(|name| Encoding::for_label(name.trim_matches('"').as_bytes())).unwrap_or(UTF_8))
}

fn parse<T: DeserializeOwned + Default>(text: &str) -> Result<T, ApiError> {
    let mut json = serde_json::Deserializer::from_str(text);
    let Object(request) = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let member = error.path().to_string();
        ApiError::BadRequest(error_message(&member, error.inner()))
    })?;
    json.end().map_err(|error| ApiError::BadRequest(error_message("", &error)))?;
    Ok(request)
}

/// The error message, with the member at fault.
fn error_message(member: &str, error: &serde_json::Error) -> String {
    if !error.is_data() {
        return format!(
            "Le corps de la requête n’est pas un JSON valide (ligne {}, colonne {}).",
            error.line(),
            error.column()
        );
    }
    let text = error.to_string();
    let reason = text.split(" at line ").next().unwrap_or_default();
    let reason = if reason.starts_with("duplicate field") { "un membre est donné plusieurs fois" } else { reason };
    if member.is_empty() || member == "." {
        format!("Corps de la requête : {reason}.")
    } else {
        format!("Membre « {member} » : {reason}.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    use crate::web::api::tolerant::{Flag, Number, Text};

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Request {
        nom_complet: Text,
        nombre: Number,
        parametres: Object<Inner>,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Inner {
        oui: Flag,
    }

    fn refusal(text: &str) -> String {
        parse::<Request>(text).unwrap_err().to_string()
    }

    #[test]
    fn absence_has_many_forms() {
        for text in [
            "null",
            "{}",
            r#"{"parametres":null}"#,
            r#"{"parametres":"","nombre":""}"#,
            r#"{"nombre":false,"inconnu":[1]}"#,
        ] {
            let request: Request = parse(text).unwrap();
            assert!(
                request.nombre.0.is_none() && request.nom_complet.0.is_none() && request.parametres.0.oui.0.is_none()
            );
        }
    }

    #[test]
    fn the_member_at_fault_is_named() {
        assert_eq!(refusal(r#"{"parametres":{"oui":[]}}"#), "Membre « parametres.oui » : vrai ou faux est attendu.");
        assert_eq!(refusal(r#"{"nombre":1.5}"#), "Membre « nombre » : un nombre entier est attendu.");
        assert_eq!(refusal(r#"{"parametres":3}"#), "Membre « parametres » : un objet est attendu.");
        assert_eq!(refusal("[]"), "Corps de la requête : un objet est attendu.");
        assert!(refusal(r#"{"nombre":1,"nombre":2}"#).contains("plusieurs fois"));
        assert!(refusal("{").contains("JSON valide") && refusal("{} x").contains("JSON valide"));
        assert!(refusal(&"[".repeat(20_000)).contains("objet") || refusal(&"[".repeat(20_000)).contains("JSON"));
    }

    #[test]
    fn json_has_several_names() {
        let of = |value: &'static str| {
            charset(&HeaderMap::from_iter([(header::CONTENT_TYPE, header::HeaderValue::from_static(value))]))
                .map(Encoding::name)
        };
        assert_eq!(of("application/json"), Some("UTF-8"));
        assert_eq!(of("Application/JSON; charset=\"utf-8\""), Some("UTF-8"));
        assert_eq!(of("application/json;charset=ISO-8859-1"), Some("windows-1252"));
        assert_eq!(of("application/problem+json"), Some("UTF-8"));
        assert_eq!((of("text/plain"), of("")), (None, None));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,80}") {
            let _ = parse::<Request>(&text);
        }
    }
}
