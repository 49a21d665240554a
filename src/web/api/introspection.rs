//! `/api/oauth/introspect` (RFC 7662): tells a service what a token or a `cpro-account` opens
//! there.

use std::net::IpAddr;

use axum::{
    Json,
    extract::{Request, State},
    http::request::Parts,
    response::{IntoResponse, Response},
};
use percent_encoding::percent_decode_str;
use schemars::JsonSchema;
use serde::Serialize;
use time::OffsetDateTime;

use super::{
    credentials,
    error::ApiError,
    oauth::{self, Flaw, Form, NO_STORE, OauthError},
    state::ApiState,
};
use crate::{
    db::api::{
        Caller, PresentedCredentials,
        authority::{Authority, OwnStructure},
        call_log::RefusedToken,
        introspection::{self, PresentedService, Service},
    },
    domain::{
        credential::Credential,
        random,
        restrictions::CallerAddress,
        structure_identifier::{IdentifierType, StructureIdentifier},
        technical_user::is_technical_login,
    },
    web::edge::{
        context::{Principal, RequestContext},
        metrics::Introspected,
    },
};

/// `token_type_hint` for the value of a `cpro-account` header.
const CPRO_ACCOUNT: &str = "cpro-account";

/// The response (RFC 7662 §2.2). All but `active` is absent where it is false.
#[derive(JsonSchema, Serialize)]
pub struct IntrospectionAnswer {
    active: bool,
    #[serde(flatten)]
    opens: Option<Opens>,
}

#[derive(JsonSchema, Serialize)]
struct Opens {
    #[schemars(
        title = "« openid » ; suivi, si le compte est limité à des structures choisies, de « structures-choisies » et, jusqu’à 20, de « structure:TYPE:IDENTIFIANT » pour chacune"
    )]
    scope: String,
    #[schemars(title = "L’identifiant de l’utilisateur technique, comme username et sub")]
    client_id: String,
    username: String,
    sub: String,
    #[schemars(title = "L’adresse du service qui interroge")]
    aud: String,
    iss: String,
    #[schemars(title = "« Bearer » ou « cpro-account »")]
    token_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
    #[schemars(title = "La fin du jeton, ou l’échéance du mot de passe si elle vient avant")]
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    #[schemars(title = "La structure de l’utilisateur technique")]
    structure: StructureAnswer,
    /// Where a structure was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(title = "Présent si « structure » est demandée : la structure entre dans les droits du compte")]
    structure_authorized: Option<bool>,
}

/// A structure in answers to programs.
#[derive(JsonSchema, Serialize)]
pub struct StructureAnswer {
    #[serde(rename = "type")]
    #[schemars(title = "Le type d’identifiant : SIRET, RIDET…")]
    kind: String,
    identifiant: String,
    designation: String,
}

impl From<OwnStructure> for StructureAnswer {
    fn from(structure: OwnStructure) -> Self {
        Self { kind: structure.identifier_type, identifiant: structure.identifier, designation: structure.designation }
    }
}

/// Answers what a credential opens for the service that asks.
///
/// # Errors
/// [`OauthError`].
pub async fn answer(State(state): State<ApiState>, request: Request) -> Result<Response, OauthError> {
    let (parts, form) = oauth::read(request).await?;
    let question = Question::of(&state, &parts, &form)?;
    let (service, active) = question.ask().await?;
    let told = if active.is_some() { Introspected::Active } else { Introspected::Inactive };
    state.app.metrics.count_introspection(&service.name, told);
    let issuer = &state.app.settings.public_url;
    let opens = active.map(|authority| Opens::of(authority, service.audience, issuer.clone()));
    Ok((NO_STORE, Json(IntrospectionAnswer { active: opens.is_some(), opens })).into_response())
}

impl Opens {
    fn of(authority: Authority, audience: String, issuer: String) -> Self {
        let scope = authority.scope();
        let Authority { login, structure, password_ends, token, over_structure, .. } = authority;
        let seconds = OffsetDateTime::unix_timestamp;
        let ends = token.as_ref().map_or(password_ends, |token| token.ends.min(password_ends));
        Self {
            scope,
            client_id: login.clone(),
            username: login.clone(),
            sub: login,
            aud: audience,
            iss: issuer,
            token_type: if token.is_some() { "Bearer" } else { CPRO_ACCOUNT },
            iat: token.as_ref().and_then(|token| token.issued).map(seconds),
            exp: seconds(ends),
            jti: token.and_then(|token| token.id),
            structure: structure.into(),
            structure_authorized: over_structure,
        }
    }
}

/// What a service asks, and with which credential of its own.
struct Question<'a> {
    state: &'a ApiState,
    context: RequestContext,
    client_id: String,
    service: PresentedService,
    /// `None` where nothing that exists can look like this.
    presented: Option<PresentedCredentials>,
    /// The login and password of `presented`.
    credential: Option<Credential>,
    /// Where the call comes from that the service was sent.
    from: CallerAddress,
    /// Whether the form is one that the service may send.
    asked: Result<Option<StructureIdentifier>, OauthError>,
}

impl<'a> Question<'a> {
    fn of(state: &'a ApiState, parts: &Parts, form: &Form) -> Result<Self, OauthError> {
        let own = form.client(&parts.headers)?;
        let secret_digest = random::digest(own.password.expose());
        let token = form.get("token").unwrap_or_default();
        let address = form.get("address").map(address).transpose();
        let from = address.as_ref().ok().copied().flatten().map_or(CallerAddress::Untold, CallerAddress::from);
        let (presented, credential) = if is_cpro_account(form, token) {
            let credential = Credential::from_cpro_account(token.as_bytes());
            let verifiers =
                credential.as_ref().map(|shown| state.verifiers(shown)).transpose().map_err(ApiError::from)?;
            (verifiers.map(|shown| PresentedCredentials { verifiers: Some(shown), token_hash: None, from }), credential)
        } else {
            (Some(PresentedCredentials { token_hash: Some(random::digest(token)), verifiers: None, from }), None)
        };
        let asked = if token.is_empty() {
            Err(OauthError::InvalidRequest(Flaw::NoToken))
        } else {
            address.and_then(|_| asked_structure(parts, form))
        };
        Ok(Self {
            state,
            context: parts.extensions.get().cloned().unwrap_or_default(),
            service: PresentedService { client_id: own.login.clone(), secret_digest },
            client_id: own.login,
            presented,
            credential,
            from,
            asked,
        })
    }

    /// The service, and what the credential opens there.
    ///
    /// One statement; more where a password has no verifier yet, and where the service's secret is
    /// wrong. A question that cannot be read is reported to services only.
    async fn ask(self) -> Result<(Service, Option<Authority>), OauthError> {
        // A service's statements have a share, as an account's have.
        let (accounts, digest) = (&self.state.accounts, &self.service.secret_digest);
        let _share = accounts.service(digest, self.context.address).await.map_err(ApiError::from)?;
        let Some(found) = self.judge().await? else {
            accounts.forget_service(digest);
            return Err(self.refuse().await?.into());
        };
        let (service, active) = found;
        accounts.remember_service(digest, service.id);
        self.context.set_principal(Principal::Service(service.id));
        let active = match active {
            None if self.make_ready().await? => self.judge().await?.and_then(|(_, active)| active),
            active => active,
        };
        self.record(&service, active.as_ref().map(|(caller, _)| caller));
        self.asked?;
        Ok((service, active.map(|(_, authority)| authority)))
    }

    async fn judge(&self) -> Result<Option<(Service, Option<(Caller, Authority)>)>, ApiError> {
        let structure = self.asked.as_ref().ok().and_then(Option::as_ref);
        let structure = structure.map(|structure| (structure.kind(), structure.value()));
        // Nothing presented is judged as a token that does not exist.
        let nothing = PresentedCredentials { token_hash: Some(Vec::new()), verifiers: None, from: self.from };
        let presented = self.presented.as_ref().unwrap_or(&nothing);
        Ok(introspection::introspect(self.state.database(), &self.service, presented, structure).await?)
    }

    /// Gives a right password its verifier, where it has none yet, and locks its account on the
    /// address that the service says, where no call did so yet. False where nothing changed.
    async fn make_ready(&self) -> Result<bool, ApiError> {
        let (Some(credential), Some(presented)) = (&self.credential, &self.presented) else { return Ok(false) };
        let Some(verifiers) = &presented.verifiers else { return Ok(false) };
        let wrote = credentials::write_missing_verifier(self.state, credential, verifiers, &self.context).await?;
        Ok(credentials::lock_network(self.state, credential, presented).await? || wrote)
    }

    /// A password that a service was shown is a call of its account, or a refused one; a token's
    /// call was recorded when it was obtained.
    fn record(&self, service: &Service, caller: Option<&Caller>) {
        let log = &self.state.call_log;
        let software = || format!("service {}", service.name);
        match (caller, &self.presented, &self.credential) {
            (Some(caller), Some(presented), Some(_)) => {
                let address = self.from.known().unwrap_or(self.context.address);
                log.record_call(caller, presented, address, &software());
            }
            (Some(caller), Some(presented), None) => log.record_expiring(caller, presented),
            (None, _, Some(credential)) => {
                credentials::record_refused(self.state, credential, &self.context, self.from, &software());
            }
            (None, Some(presented), None) => self.record_refused_token(presented, &software()),
            _ => {}
        }
    }

    fn record_refused_token(&self, presented: &PresentedCredentials, software: &str) {
        if let (Some(hash), Some(address)) = (presented.token_hash.clone(), self.from.known()) {
            self.state.call_log.record_refused_token(RefusedToken { hash, address }, software);
        }
    }

    async fn refuse(&self) -> Result<ApiError, ApiError> {
        credentials::refuse_service(self.state, &self.client_id, &self.context).await
    }
}

/// The structure that the form names, or else the query: Debian's `mod_oauth2` sends no further
/// member.
fn asked_structure(parts: &Parts, form: &Form) -> Result<Option<StructureIdentifier>, OauthError> {
    let query = parts.uri.query().unwrap_or_default();
    let in_query = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "structure");
    let in_query = in_query.as_ref().map(|(_, value)| &**value);
    form.get("structure").or(in_query).map(structure).transpose()
}

/// The caller's address that the form names.
fn address(text: &str) -> Result<IpAddr, OauthError> {
    text.parse().map_err(|_| OauthError::InvalidRequest(Flaw::NoAddress))
}

/// Whether the value is that of a `cpro-account`. A hint is no more than that (RFC 7662 §2.1):
/// `mod_oauth2` always sends `access_token`, whatever it was shown.
fn is_cpro_account(form: &Form, token: &str) -> bool {
    let has_technical_login =
        || Credential::from_cpro_account(token.as_bytes()).is_some_and(|shown| is_technical_login(&shown.login));
    form.get("token_type_hint") == Some(CPRO_ACCOUNT) || has_technical_login()
}

/// Reads `SIRET:21570004800014`; letters that cannot stand in a header may be percent-encoded.
///
/// # Errors
/// [`OauthError::InvalidRequest`].
pub fn structure(text: &str) -> Result<StructureIdentifier, OauthError> {
    let read = || {
        let (kind, value) = text.split_once(':')?;
        let value = percent_decode_str(value).decode_utf8().ok()?;
        StructureIdentifier::parse(IdentifierType::parse(kind)?, &value, false).ok()
    };
    read().ok_or(OauthError::InvalidRequest(Flaw::NoStructure))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_structure_is_asked_for_by_kind_and_identifier() {
        let read = |text| structure(text).map(|read| (read.kind(), read.value().to_owned())).ok();
        assert_eq!(read("SIRET:21570004800014"), Some((IdentifierType::Siret, "21570004800014".into())));
        assert_eq!(read("AUTRE:X-1"), Some((IdentifierType::Autre, "X-1".into())));
        for text in ["HORS_UE:CHÉTÉ SA", "HORS_UE:chété sa", "HORS_UE:CH%C3%89T%C3%89%20SA"] {
            assert_eq!(read(text), Some((IdentifierType::HorsUe, "CHÉTÉ SA".into())), "{text}");
        }
        assert_eq!(read("RIDET:0123456.001"), Some((IdentifierType::Ridet, "0123456001".into())));
        for text in ["", "SIRET", "SIRET:", "siret:21570004800014", "NIF:1", "SIRET:1", "AUTRE:a b\u{0}"] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }
}
