//! W3C Trace Context: the trace of a proxy or a client to which a request belongs. It stands in
//! each log line of the request; Raccord makes no spans of its own.

use axum::http::HeaderMap;

/// The only version. Later ones begin with the same fields.
const VERSION: &str = "00";

/// The request's `traceparent`, where there is one and it is sound: any client may send it.
pub(super) fn of(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all("traceparent").iter();
    let value = values.next().filter(|_| values.next().is_none())?.to_str().ok()?;
    is_sound(value).then_some(value)
}

fn is_sound(value: &str) -> bool {
    let mut fields = value.split('-');
    let mut field = |length: usize| {
        fields
            .next()
            .filter(|text| text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
    };
    let is_id = |id: Option<&str>| id.is_some_and(|id| id.bytes().any(|byte| byte != b'0'));
    field(2) == Some(VERSION) && is_id(field(32)) && is_id(field(16)) && field(2).is_some() && fields.next().is_none()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const SOUND: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn of_values(values: &[&[u8]]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("traceparent", HeaderValue::from_bytes(value).unwrap());
        }
        of(&headers).map(str::to_owned)
    }

    #[test]
    fn a_trace_is_known_by_its_one_sound_header() {
        assert_eq!(of_values(&[SOUND.as_bytes()]).as_deref(), Some(SOUND));
        let zero_trace = SOUND.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32));
        let zero_parent = SOUND.replace("00f067aa0ba902b7", &"0".repeat(16));
        let (upper, longer, newer) = (SOUND.to_uppercase(), format!("{SOUND}-x"), SOUND.replacen("00", "01", 1));
        let no_hex = SOUND.replace("4bf9", "4bg9");
        for text in [&zero_trace, &zero_parent, &upper, &longer, &newer, &no_hex, "", "00", "00-é", &SOUND[..54]] {
            assert_eq!(of_values(&[text.as_bytes()]), None, "{text}");
        }
        assert_eq!(of_values(&[SOUND.as_bytes(), SOUND.as_bytes()]), None);
        assert_eq!(of_values(&[&[0xff; 55]]), None);
    }
}
