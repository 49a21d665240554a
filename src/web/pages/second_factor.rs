use std::fmt::Write;

use askama::Template;
use qrcodegen::{QrCode, QrCodeEcc};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::domain::second_factor::{RecoveryCode, TotpSecret};
use crate::web::filters;
use crate::web::layout::{Errors, Layout};

/// « Double authentification ».
#[derive(Template)]
#[template(path = "my_account/second_factor.html")]
pub struct SecondFactorPage {
    pub layout: Layout,
    pub login: String,
    pub state: SecondFactorState,
    /// Whether the operator demands it of this person.
    pub required: bool,
    pub errors: Errors,
}

/// Where a person is with her second factor.
pub enum SecondFactorState {
    Off,
    /// The application must show that it knows the secret.
    SettingUp(Setup),
    On {
        since: OffsetDateTime,
        codes_left: i64,
    },
}

/// A secret as people give it to their application.
pub struct Setup {
    /// Its text, by four characters.
    pub groups: Vec<Zeroizing<String>>,
    pub qr: Qr,
}

/// A QR code as the path of an SVG.
pub struct Qr {
    /// Modules a side, margins included.
    pub size: i32,
    pub path: Zeroizing<String>,
}

/// Modules of margin that readers want.
const MARGIN: i32 = 4;

impl Setup {
    /// `None` where the login is too long for a QR code, which no login is.
    pub fn new(secret: &TotpSecret, login: &str) -> Option<Self> {
        let text = secret.expose();
        let groups = text.as_bytes().chunks(4).map(|group| Zeroizing::new(String::from_utf8_lossy(group).into_owned()));
        let code = QrCode::encode_text(&secret.expose_uri(login), QrCodeEcc::Medium).ok()?;
        Some(Self { groups: groups.collect(), qr: Qr::new(&code) })
    }
}

impl Qr {
    fn new(code: &QrCode) -> Self {
        let places = (0..code.size()).flat_map(|y| (0..code.size()).map(move |x| (x, y)));
        let dark = places.filter(|(x, y)| code.get_module(*x, *y));
        let mut path = Zeroizing::new(String::new());
        for (x, y) in dark {
            let _ = write!(path, "M{} {}h1v1h-1z", x + MARGIN, y + MARGIN);
        }
        Self { size: code.size() + 2 * MARGIN, path }
    }
}

/// « Codes de secours », shown this once.
#[derive(Template)]
#[template(path = "my_account/recovery_codes.html")]
pub struct RecoveryCodesPage {
    pub layout: Layout,
    pub codes: Vec<RecoveryCode>,
    /// Whether they come with a second factor just put in force.
    pub is_first: bool,
}

impl RecoveryCodesPage {
    /// The codes as the text of a `data:` URL, for a download that asks the server for nothing.
    fn file(&self) -> Zeroizing<String> {
        let lines: Vec<&str> = self.codes.iter().map(RecoveryCode::expose).collect();
        Zeroizing::new(format!("data:text/plain;charset=utf-8,{}%0A", lines.join("%0A")))
    }
}
