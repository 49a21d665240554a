//! The examples of `deploy/gateways`, each started as it stands before a small API, and attacked.
//! A program that is not installed is skipped, and says so; `bin/test` installs all of them.

mod journey;
mod namespaces;
mod program;
mod small_api;

use journey::{Credential, World};
use program::Gateway;

/// What nginx, Caddy, Envoy and Apache have in common: they ask at each call.
async fn opens_and_closes(gateway: Gateway) {
    let Some(world) = World::start(gateway).await else { return };
    world.lets_every_credential_in().await;
    world.refuses_what_is_not_valid().await;
    world.passes_nothing_forged_on().await;
    world.judges_the_structure().await;
    world.sees_a_reset_at_the_next_call().await;
    world.denies_without_raccord(Credential::Password).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_lets_in_the_accounts_that_raccord_lets_in() {
    opens_and_closes(Gateway::Nginx).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn caddy_lets_in_the_accounts_that_raccord_lets_in() {
    opens_and_closes(Gateway::Caddy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn envoy_lets_in_the_accounts_that_raccord_lets_in() {
    opens_and_closes(Gateway::Envoy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn apache_lets_in_the_accounts_that_raccord_lets_in() {
    opens_and_closes(Gateway::Apache).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn haproxy_lets_living_tokens_for_its_service_in_and_nothing_else() {
    let Some(world) = World::start(Gateway::Haproxy).await else { return };
    world.takes_signed_tokens_alone().await;
    world.passes_nothing_forged_on().await;
    world.denies_without_raccord(Credential::Jwt).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_nginx_each_network_is_told_from_the_other() {
    let Some(networks) = namespaces::Pair::make() else { return };
    let Some(world) = World::start_at(Gateway::Nginx, networks.gateway()).await else { return };
    world.opens_to_one_of_two_networks(&networks).await;
    world.is_locked_by_the_first_of_two_networks(&networks).await;
}
