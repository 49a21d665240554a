//! The keys that sign tokens for services (RFC 9068): ECDSA on P-256 with SHA-256 (ES256). A
//! private key is stored sealed under a key of the key file.

use std::fmt;

use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit,
    aead::{Aead, Payload},
};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use rand::CryptoRng;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{
    random,
    second_factor::{Keyring, SealedSecret},
    wiped::wiped,
};

/// HKDF's label of the keys that seal.
const PURPOSE: &[u8] = b"raccord signing key 1";
const NONCE_BYTES: usize = 12;
/// A point of P-256 as SEC 1 writes it: a byte 4, then x and y.
pub const PUBLIC_BYTES: usize = 65;
const COORDINATE_BYTES: usize = 32;

/// A private key. `Debug` says nothing.
pub struct SigningKey {
    pkcs8: Zeroizing<Vec<u8>>,
    pair: EcdsaKeyPair,
    id: String,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

/// The claims of an access token (RFC 9068 §2.2).
#[derive(Clone, Debug, Serialize)]
pub struct Claims<'a> {
    pub iss: &'a str,
    pub sub: &'a str,
    pub client_id: &'a str,
    #[serde(serialize_with = "one_or_several")]
    pub aud: &'a [&'a str],
    /// Seconds since 1970.
    pub iat: i64,
    /// Seconds since 1970.
    pub exp: i64,
    pub jti: &'a str,
    pub scope: &'a str,
}

/// A single audience as a text, which more verifiers read than a list (RFC 7519 §4.1.3).
fn one_or_several<S: Serializer>(audiences: &&[&str], serializer: S) -> Result<S::Ok, S::Error> {
    match audiences {
        [one] => serializer.serialize_str(one),
        several => several.serialize(serializer),
    }
}

#[derive(Serialize)]
struct Header<'a> {
    typ: &'static str,
    alg: &'static str,
    kid: &'a str,
}

impl SigningKey {
    /// A new key, from the system's randomness.
    #[must_use]
    pub fn generate() -> Self {
        let document = wiped(|| {
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random::for_signatures())
                .map(|document| Zeroizing::new(document.as_ref().to_vec()))
        });
        Self::from_pkcs8(document.expect("the system has randomness")).expect("the key was made for this use")
    }

    fn from_pkcs8(pkcs8: Zeroizing<Vec<u8>>) -> Option<Self> {
        let rng = random::for_signatures();
        let pair = wiped(|| EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8, &rng)).ok()?;
        let id = key_id(pair.public_key().as_ref());
        Some(Self { pkcs8, pair, id })
    }

    /// The key's name (`kid`).
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The public key: [`PUBLIC_BYTES`].
    #[must_use]
    pub fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// A signed token in JWS's compact form.
    #[must_use]
    pub fn sign(&self, claims: &Claims<'_>) -> String {
        let encode = |json: serde_json::Result<Vec<u8>>| BASE64URL_NOPAD.encode(&json.expect("texts and numbers"));
        let header = Header { typ: "at+jwt", alg: "ES256", kid: &self.id };
        let signed = format!("{}.{}", encode(serde_json::to_vec(&header)), encode(serde_json::to_vec(claims)));
        let signature = wiped(|| self.pair.sign(&random::for_signatures(), signed.as_bytes()));
        let signature = signature.expect("the system has randomness");
        format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
    }
}

/// The thumbprint of a public key (RFC 7638).
fn key_id(public: &[u8]) -> String {
    let (x, y) = coordinates(public);
    let text = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    BASE64URL_NOPAD.encode(&Sha256::digest(text))
}

/// x and y of a public key, which has [`PUBLIC_BYTES`], as RFC 7518 writes them.
#[must_use]
pub fn coordinates(public: &[u8]) -> (String, String) {
    let (x, y) = public.get(1..).unwrap_or_default().split_at_checked(COORDINATE_BYTES).unwrap_or_default();
    (BASE64URL_NOPAD.encode(x), BASE64URL_NOPAD.encode(y))
}

/// A public key as PEM (RFC 5480).
#[must_use]
pub fn pem(public: &[u8]) -> String {
    /// All that stands before the point of a P-256 key.
    const HEAD: [u8; 26] = [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
        0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
    ];
    let encoded = BASE64.encode(&[&HEAD, public].concat());
    let (first, rest) = encoded.split_at(encoded.len().min(64));
    format!("-----BEGIN PUBLIC KEY-----\n{first}\n{rest}\n-----END PUBLIC KEY-----\n")
}

impl Keyring {
    /// Seals a private key; it opens under its own id alone.
    #[must_use]
    pub fn seal_signing_key(&self, key: &SigningKey, rng: &mut impl CryptoRng) -> SealedSecret {
        let (key_id, sealing) = self.derived_keys(PURPOSE).next().expect("a keyring has a key");
        let nonce: [u8; NONCE_BYTES] = random::bytes(rng);
        let payload = Payload { msg: &key.pkcs8, aad: key.id.as_bytes() };
        let sealed = wiped(|| ChaCha20Poly1305::new((&*sealing).into()).encrypt(&nonce.into(), payload))
            .expect("a key is shorter than ChaCha20 can encrypt");
        SealedSecret { key_id: key_id.to_owned(), bytes: [nonce.as_slice(), &sealed].concat() }
    }

    /// The private key with this id, or `None` where the key that sealed it is not in the file, or
    /// another one was sealed.
    #[must_use]
    pub fn open_signing_key(&self, sealed: &SealedSecret, id: &str) -> Option<SigningKey> {
        let (_, sealing) = self.derived_keys(PURPOSE).find(|(name, _)| *name == sealed.key_id)?;
        let (nonce, text) = sealed.bytes.split_at_checked(NONCE_BYTES)?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().ok()?;
        let payload = Payload { msg: text, aad: id.as_bytes() };
        let opened = wiped(|| ChaCha20Poly1305::new((&*sealing).into()).decrypt(&nonce.into(), payload)).ok()?;
        SigningKey::from_pkcs8(Zeroizing::new(opened)).filter(|key| key.id == id)
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::random::os_rng;

    fn keyring(byte: u8) -> Keyring {
        Keyring::parse(&format!("k{byte}:{}", BASE64URL_NOPAD.encode(&[byte; 32]))).unwrap()
    }

    #[test]
    fn a_token_is_signed_as_its_public_key_shows() {
        let key = SigningKey::generate();
        let claims = Claims {
            iss: "https://raccord.example",
            sub: "TECH_1_X@cpro.fr",
            client_id: "TECH_1_X@cpro.fr",
            aud: &["https://api.example"],
            iat: 1,
            exp: 301,
            jti: "j",
            scope: "openid",
        };
        let token = key.sign(&claims);
        let parts: Vec<&str> = token.split('.').collect();
        let json = |part: &str| serde_json::from_slice::<Value>(&BASE64URL_NOPAD.decode(part.as_bytes()).unwrap());
        assert_eq!(json(parts[0]).unwrap(), json!({ "typ": "at+jwt", "alg": "ES256", "kid": key.id() }));
        assert_eq!(json(parts[1]).unwrap()["aud"], "https://api.example");
        let signature = BASE64URL_NOPAD.decode(parts[2].as_bytes()).unwrap();
        let signed = format!("{}.{}", parts[0], parts[1]);
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.public());
        assert!(public.verify(signed.as_bytes(), &signature).is_ok());
        assert!(public.verify(format!("{signed}x").as_bytes(), &signature).is_err());
    }

    #[test]
    fn a_key_id_is_its_thumbprint() {
        // The key of RFC 7517, appendix A.1; the thumbprint was computed by an independent program.
        let decode = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).unwrap();
        let x = decode("MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4");
        let y = decode("4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM");
        let public = [&[4][..], &x, &y].concat();
        assert_eq!(public.len(), PUBLIC_BYTES);
        assert_eq!(key_id(&public), "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s");
        assert_eq!(coordinates(&public).0, "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4");
        assert_eq!(coordinates(&[4]), (String::new(), String::new()));
    }

    #[test]
    fn a_public_key_is_written_as_openssl_writes_it() {
        // As `openssl pkey` writes the first example of RFC 7517.
        let (x, y) = ("MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM");
        let decode = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).unwrap();
        let public = [vec![4], decode(x), decode(y)].concat();
        let lines: Vec<_> = pem(&public).lines().map(str::to_owned).collect();
        assert_eq!(lines[0], "-----BEGIN PUBLIC KEY-----");
        assert_eq!(lines[1], "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEMKBCTNIcKUSDii11ySs3526iDZ8A");
        assert_eq!(lines[2], "iTo7Tu6KPAqv7D7gS2XpJFbZiItSs3m9+9Ue6GnvHw/GW2ZZaVtszggXIw==");
        assert_eq!(lines[3..], ["-----END PUBLIC KEY-----"]);
    }

    #[test]
    fn a_sealed_key_opens_under_its_own_name_and_key_alone() {
        let (key, other) = (SigningKey::generate(), SigningKey::generate());
        let sealed = keyring(1).seal_signing_key(&key, &mut os_rng());
        assert_eq!(keyring(1).open_signing_key(&sealed, key.id()).unwrap().public(), key.public());
        assert!(keyring(2).open_signing_key(&sealed, key.id()).is_none());
        assert!(keyring(1).open_signing_key(&sealed, other.id()).is_none());
        assert!(!sealed.bytes.windows(32).any(|window| window == &key.pkcs8[36..68]));
        assert_eq!(format!("{key:?}"), "SigningKey(…)");
    }
}
