//! How the portal proves who it is at the provider's token endpoint.

use std::{fs::File, io, path::Path};

use data_encoding::BASE64URL_NOPAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::json;
use time::OffsetDateTime;
use tokio_rustls::rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use zeroize::Zeroizing;

use crate::{
    domain::{random, wiped::wiped},
    private_files,
    settings::identity_provider::ClientAuthentication,
};

/// How long an assertion is valid, in seconds.
const ASSERTION_LIFETIME: i64 = 60;

/// The secret or the private key.
pub enum Credential {
    Secret(Zeroizing<String>),
    Key(Box<PrivateKey>),
}

/// A private key that signs assertions.
pub enum PrivateKey {
    P256(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl Credential {
    /// Reads the file of the settings.
    pub fn read(authentication: &ClientAuthentication) -> io::Result<Self> {
        let (name, read) = match authentication {
            ClientAuthentication::Secret(file) => ("RACCORD_OIDC_CLIENT_SECRET_FILE", read_secret(file)),
            ClientAuthentication::PrivateKey(file) => ("RACCORD_OIDC_PRIVATE_KEY_FILE", read_key(file)),
        };
        read.map_err(|error| io::Error::other(format!("{name}: {error}")))
    }
}

fn read_secret(path: &Path) -> io::Result<Credential> {
    let text = Zeroizing::new(io::read_to_string(private(path)?)?);
    let secret = Zeroizing::new(text.trim().to_owned());
    if secret.is_empty() { Err(io::Error::other("the file is empty")) } else { Ok(Credential::Secret(secret)) }
}

fn read_key(path: &Path) -> io::Result<Credential> {
    let wrong = || io::Error::other("it holds no private key of P-256 or RSA (PEM, « BEGIN PRIVATE KEY »)");
    let pem = PrivatePkcs8KeyDer::from_pem_reader(private(path)?).map_err(|_| wrong())?;
    let pkcs8 = pem.secret_pkcs8_der();
    let rng = random::for_signatures();
    let key = wiped(|| {
        let p256 = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &rng).map(PrivateKey::P256);
        p256.or_else(|_| RsaKeyPair::from_pkcs8(pkcs8).map(PrivateKey::Rsa))
    });
    key.map(|key| Credential::Key(Box::new(key))).map_err(|_| wrong())
}

/// The file, which no other user of the machine may read. A group may: that of this service.
fn private(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    private_files::check_shared_key(&file.metadata()?)?;
    Ok(file)
}

impl PrivateKey {
    /// A new assertion of the client for this audience (RFC 7523 §2.2).
    pub fn assertion(&self, client_id: &str, audience: &str, now: OffsetDateTime) -> String {
        let alg = match self {
            Self::P256(_) => "ES256",
            Self::Rsa(_) => "RS256",
        };
        let (iat, jti) = (now.unix_timestamp(), random::token(&mut random::os_rng()));
        let claims = json!({
            "iss": client_id, "sub": client_id, "aud": audience, "jti": jti, "iat": iat,
            "exp": iat + ASSERTION_LIFETIME,
        });
        let encode = |value: serde_json::Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let signed = format!("{}.{}", encode(json!({ "alg": alg, "typ": "JWT" })), encode(claims));
        let signature = wiped(|| self.sign(signed.as_bytes()));
        format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature))
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let rng = random::for_signatures();
        match self {
            Self::P256(pair) => pair.sign(&rng, message).expect("the system has randomness").as_ref().to_vec(),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &rng, message, &mut signature).expect("a signature of the key's length");
                signature
            }
        }
    }
}
