//! `raccord service`: the operator's own APIs that ask Raccord about credentials.

use std::{fmt::Write, str::FromStr};

use sqlx::PgPool;

use super::{
    arguments::{AddService, Service},
    error::{CliError, Outcome},
    output::date,
    signing_keys,
};
use crate::{
    db::api::services::{self, Added, ListedService, NewService, ServiceOutcome, ServiceState},
    domain::{
        audit::Actor,
        random::os_rng,
        service::{Audience, Keep, ServiceError, ServiceName, ServiceSecret, TokenKind, TokenSeconds, new_id},
    },
    settings::Settings,
};

/// Runs one of the commands.
///
/// # Errors
/// Where an argument is wrong, or names no service.
pub async fn run(pool: &PgPool, settings: &Settings, act: Service) -> Result<Outcome, CliError> {
    match act {
        Service::Add(arguments) => add(pool, settings, &arguments).await,
        Service::List { json } => list(pool, json).await,
        Service::Rotate { name, keep, operator } => {
            let keep = keep.map(|text| read("--keep ", &text)).transpose()?;
            rotate(pool, &operator.actor(), &read("", &name)?, keep.unwrap_or_default()).await
        }
        Service::Disable { name, operator } => {
            let name = read("", &name)?;
            let outcome = services::set_state(pool, &operator.actor(), &name, ServiceState::Disabled).await?;
            report(&name, outcome, "is disabled: its secret is refused")
        }
        Service::Enable { name, operator } => {
            let name = read("", &name)?;
            let outcome = services::set_state(pool, &operator.actor(), &name, ServiceState::Enabled).await?;
            report(&name, outcome, "is enabled")
        }
        Service::Remove { name, operator } => {
            let name = read("", &name)?;
            let outcome = services::remove(pool, &operator.actor(), &name).await?;
            report(&name, outcome, "is removed, with its secrets")
        }
    }
}

/// Reads an argument. A wrong one is reported in one line, with `option` before it.
fn read<T: FromStr<Err = ServiceError>>(option: &str, text: &str) -> Result<T, CliError> {
    text.parse().map_err(|error| CliError::Usage(format!("{option}{text:?}: {error}")))
}

async fn add(pool: &PgPool, settings: &Settings, arguments: &AddService) -> Result<Outcome, CliError> {
    let AddService { name, audience, jwt, token_seconds, require_audience, operator } = arguments;
    let actor = operator.actor();
    let (name, audience): (ServiceName, Audience) = (read("", name)?, read("--audience ", audience)?);
    let (name, audience) = (&name, &audience);
    if audience.as_str() == settings.public_url {
        return Err(CliError::Usage(format!("--audience {}: is this portal's own URL", audience.as_str())));
    }
    let kind = if *jwt { TokenKind::Jwt } else { TokenKind::Opaque };
    let token_seconds = lifetime(token_seconds.as_deref(), kind)?;
    if kind == TokenKind::Jwt {
        // Published from now on: the API may read them before the first token.
        signing_keys::ensure(pool, &actor, settings).await?;
    }
    let (id, secret) = (new_id(&mut os_rng()), ServiceSecret::generate(&mut os_rng()));
    let service = NewService {
        name,
        client_id: &id,
        secret_digest: &secret.digest(),
        audience,
        kind,
        token_seconds,
        needs_audience: *require_audience,
    };
    match services::add(pool, &actor, &service).await? {
        Added::NameTaken => Err(CliError::Usage(format!("{}: another service has this name", name.as_str()))),
        Added::AudienceTaken => {
            Err(CliError::Usage(format!("--audience {}: another service has it", audience.as_str())))
        }
        Added::Done => {
            println!("id: {id}\nsecret: {}", secret.expose());
            eprintln!("{} is added; its secret is not shown again", name.as_str());
            Ok(Outcome::Done)
        }
    }
}

fn lifetime(typed: Option<&str>, kind: TokenKind) -> Result<TokenSeconds, CliError> {
    let number = typed.map(str::parse).transpose().map_err(|_| ServiceError::TokenSeconds);
    number.and_then(|number| TokenSeconds::checked(number, kind)).map_err(|error| {
        let typed = typed.unwrap_or_default();
        CliError::Usage(format!("--token-seconds {typed:?}: {error}"))
    })
}

async fn rotate(pool: &PgPool, actor: &Actor, name: &ServiceName, keep: Keep) -> Result<Outcome, CliError> {
    let secret = ServiceSecret::generate(&mut os_rng());
    let outcome = services::rotate(pool, actor, name, &secret.digest(), keep).await?;
    if outcome == ServiceOutcome::Done {
        println!("secret: {}", secret.expose());
    }
    let minutes = keep.seconds() / 60;
    let done = match keep.seconds() {
        0 => "has a new secret, which is not shown again; the old one is refused".to_owned(),
        _ => format!("has a new secret, which is not shown again; the old one works for {minutes} minutes more"),
    };
    report(name, outcome, &done)
}

fn report(name: &ServiceName, outcome: ServiceOutcome, done: &str) -> Result<Outcome, CliError> {
    let name = name.as_str();
    match outcome {
        ServiceOutcome::Done => eprintln!("{name} {done}"),
        ServiceOutcome::Unchanged => eprintln!("{name} was so already"),
        ServiceOutcome::NoSuchService => return Err(CliError::Usage(format!("{name}: no service has this name"))),
    }
    Ok(Outcome::Done)
}

async fn list(pool: &PgPool, json: bool) -> Result<Outcome, CliError> {
    let services = services::list(pool).await?;
    if json {
        let rows: Vec<_> = services.iter().map(as_json).collect();
        println!("{}", serde_json::Value::from(rows));
    } else {
        for service in &services {
            println!("{}", as_line(service));
        }
    }
    Ok(Outcome::Done)
}

/// `factures svc_… https://api.example/factures opaque 900s enabled`, and what is special.
fn as_line(service: &ListedService) -> String {
    let ListedService { name, client_id, audience, jwt, token_seconds, needs_audience, enabled, .. } = service;
    let kind = if *jwt { "jwt" } else { "opaque" };
    let state = if *enabled { "enabled" } else { "disabled" };
    let mut line = format!("{name} {client_id} {audience} {kind} {token_seconds}s {state}");
    if *needs_audience {
        line.push_str(" requires-audience");
    }
    if let Some(until) = service.former_secret_until {
        let _ = write!(line, " old-secret-until={}", date(until));
    }
    line
}

fn as_json(service: &ListedService) -> serde_json::Value {
    serde_json::json!({
        "name": service.name,
        "id": service.client_id,
        "audience": service.audience,
        "jwt": service.jwt,
        "token_seconds": service.token_seconds,
        "require_audience": service.needs_audience,
        "enabled": service.enabled,
        "created_at": date(service.created_at),
        "secret_since": date(service.secret_since),
        "former_secret_until": service.former_secret_until.map(date),
    })
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;

    #[test]
    fn a_service_is_one_line_and_one_object() {
        let service = ListedService {
            name: "factures".into(),
            client_id: "svc_x".into(),
            audience: "https://api.example".into(),
            jwt: true,
            token_seconds: 300,
            needs_audience: true,
            enabled: false,
            created_at: OffsetDateTime::UNIX_EPOCH,
            secret_since: OffsetDateTime::UNIX_EPOCH,
            former_secret_until: Some(OffsetDateTime::UNIX_EPOCH),
        };
        assert_eq!(
            as_line(&service),
            "factures svc_x https://api.example jwt 300s disabled requires-audience old-secret-until=1970-01-01T00:00:00Z"
        );
        assert_eq!(as_json(&service)["former_secret_until"], "1970-01-01T00:00:00Z");
    }
}
