//! JSON members as clients send them: `null`, `""` and `false` all mean absent, and numbers may
//! come as strings. Error messages are in French; [`super::body`] adds the member's name.

use std::{borrow::Cow, fmt, marker::PhantomData};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error, MapAccess, Visitor, value::MapAccessDeserializer},
};

/// The maximal length of a text, in characters.
const MAX_TEXT: usize = 200;

/// A scalar, before it is converted.
enum Scalar {
    Absent,
    True,
    Number(f64, String),
    Text(String),
}

struct ScalarVisitor(&'static str);

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Absent)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
        Ok(if value { Scalar::True } else { Scalar::Absent })
    }

    #[allow(clippy::cast_precision_loss, reason = "the text keeps the precision")]
    fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar::Number(value as f64, value.to_string()))
    }

    #[allow(clippy::cast_precision_loss, reason = "the text keeps the precision")]
    fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
        Ok(Scalar::Number(value as f64, value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
        Ok(Scalar::Number(value, value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Scalar, E> {
        let value = value.trim();
        Ok(if value.is_empty() { Scalar::Absent } else { Scalar::Text(value.to_owned()) })
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, _: A) -> Result<Scalar, A::Error> {
        Err(A::Error::custom(self.0))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Scalar, A::Error> {
        Err(A::Error::custom(self.0))
    }
}

macro_rules! scalar {
    ($(#[$doc:meta])* $name:ident($type:ty), $error_message:literal, $read:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $name(pub Option<$type>);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let read: fn(Scalar) -> Result<Option<$type>, &'static str> = $read;
                let scalar = deserializer.deserialize_any(ScalarVisitor($error_message))?;
                read(scalar).map(Self).map_err(D::Error::custom)
            }
        }
    };
}

scalar!(
    /// A text: at most 200 characters, no control characters.
    Text(String), "un texte est attendu", |scalar| match scalar {
        Scalar::Absent => Ok(None),
        Scalar::True => Err("un texte est attendu"),
        Scalar::Text(text) if text.chars().any(char::is_control) => Err("un caractère n’est pas accepté"),
        Scalar::Text(text) if text.chars().count() > MAX_TEXT => Err("200 caractères au plus sont acceptés"),
        Scalar::Number(_, text) | Scalar::Text(text) => Ok(Some(text)),
    }
);

scalar!(
    /// A whole number.
    Number(i64), "un nombre entier est attendu", |scalar| match scalar {
        Scalar::Absent => Ok(None),
        Scalar::True => Err("un nombre entier est attendu"),
        Scalar::Number(_, text) | Scalar::Text(text) => text.parse().map(Some).map_err(|_| "un nombre entier est attendu"),
    }
);

scalar!(
    /// A whole number from 1; larger numbers count as `i32::MAX`.
    Count(i32), "un nombre entier supérieur à zéro est attendu", |scalar| {
        let error_message = "un nombre entier supérieur à zéro est attendu";
        let text = match scalar {
            Scalar::Absent => return Ok(None),
            Scalar::True => return Err(error_message),
            Scalar::Number(number, _) if number >= f64::from(i32::MAX) => return Ok(Some(i32::MAX)),
            Scalar::Number(_, text) | Scalar::Text(text) => text,
        };
        match text.parse::<i64>() {
            Ok(number @ 1..) => Ok(Some(i32::try_from(number).unwrap_or(i32::MAX))),
            _ => Err(error_message),
        }
    }
);

scalar!(
    /// A flag: `true` or absent.
    Flag(bool), "vrai ou faux est attendu", |scalar| match scalar {
        Scalar::Absent => Ok(None),
        Scalar::True => Ok(Some(true)),
        Scalar::Number(_, text) | Scalar::Text(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Ok(Some(true)),
            "false" | "0" => Ok(None),
            _ => Err("vrai ou faux est attendu"),
        },
    }
);

/// A value of a closed list, and the words for it.
pub trait Word: Copy + 'static {
    const WORDS: &'static [(&'static str, Self)];
}

/// One word of the list, in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice<T>(pub Option<T>);

impl<T> Default for Choice<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Word> Deserialize<'de> for Choice<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Some(text) = Text::deserialize(deserializer)?.0 else { return Ok(Self(None)) };
        let word = T::WORDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(&text));
        let error_message = || {
            let words: Vec<_> = T::WORDS.iter().map(|(word, _)| *word).collect();
            D::Error::custom(format!("une de ces valeurs est attendue : {}", words.join(", ")))
        };
        word.map(|(_, value)| Self(Some(*value))).ok_or_else(error_message)
    }
}

/// An object; `null`, `""` and `false` count as an empty one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object<T>(pub T);

impl<'de, T: DeserializeOwned + Default> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ObjectVisitor(PhantomData)).map(Self)
    }
}

const OBJECT: &str = "un objet est attendu";

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: DeserializeOwned + Default> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(OBJECT)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<T, E> {
        if value { Err(E::custom(OBJECT)) } else { Ok(T::default()) }
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<T, E> {
        if value.trim().is_empty() { Ok(T::default()) } else { Err(E::custom(OBJECT)) }
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<T, E> {
        Err(E::custom(OBJECT))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<T, E> {
        Err(E::custom(OBJECT))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<T, E> {
        Err(E::custom(OBJECT))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, _: A) -> Result<T, A::Error> {
        Err(A::Error::custom(OBJECT))
    }
}

/// The schema of a type in the API's description: the documented type, or `null`. Other tolerated
/// forms are not documented.
macro_rules! described {
    ($name:ident, $schema:tt) => {
        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

described!(Text, { "type": ["string", "null"], "maxLength": 200 });
described!(Number, { "type": ["integer", "null"], "format": "int64" });
described!(Count, { "type": ["integer", "null"], "minimum": 1 });
described!(Flag, { "type": ["boolean", "null"] });

impl<T: Word> JsonSchema for Choice<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Choice".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words: Vec<Option<&str>> = T::WORDS.iter().map(|(word, _)| Some(*word)).chain([None]).collect();
        json_schema!({ "enum": words })
    }
}

impl<T: JsonSchema> JsonSchema for Object<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [generator.subschema_for::<T>(), { "type": "null" }] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: DeserializeOwned>(text: &str) -> Option<T> {
        serde_json::from_str(text).ok()
    }

    #[test]
    fn what_is_not_given_has_four_forms() {
        for text in ["null", "\"\"", "\"  \"", "false"] {
            assert_eq!(read::<Text>(text), Some(Text(None)), "{text}");
            assert_eq!(read::<Number>(text), Some(Number(None)), "{text}");
            assert_eq!(read::<Count>(text), Some(Count(None)), "{text}");
            assert_eq!(read::<Flag>(text), Some(Flag(None)), "{text}");
        }
    }

    #[test]
    fn numbers_and_texts_stand_for_each_other() {
        assert_eq!(read::<Text>("21750001600019"), Some(Text(Some("21750001600019".into()))));
        assert_eq!(read::<Number>("\"42\""), Some(Number(Some(42))));
        assert_eq!(read::<Count>("\"5\""), Some(Count(Some(5))));
        assert_eq!(read::<Flag>("\"true\""), Some(Flag(Some(true))));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for text in ["[]", "{}", "true", "\"a\\u0000b\"", &format!("\"{}\"", "x".repeat(201))] {
            assert_eq!(read::<Text>(text), None, "{text}");
        }
        for text in ["1.5", "\"x\"", "1e30", "99999999999999999999"] {
            assert_eq!(read::<Number>(text), None, "{text}");
        }
        assert_eq!((read::<Count>("0"), read::<Count>("-1"), read::<Count>("\"0\"")), (None, None, None));
        assert_eq!(read::<Count>("1e30"), Some(Count(Some(i32::MAX))));
        assert_eq!(read::<Flag>("2"), None);
    }
}
