//! What a manager does: create, display, export, reset. In this process, without the network.

use std::time::{Duration, Instant};

use crate::directory::Portal;

/// How often each act is done.
const ROUNDS: usize = 40;

/// The times of each act.
#[derive(Default)]
pub struct Acts {
    pub create: Vec<Duration>,
    pub display: Vec<Duration>,
    pub export: Vec<Duration>,
    pub reset: Vec<Duration>,
}

impl Acts {
    pub fn rows(&self) -> [(&'static str, &[Duration]); 4] {
        [
            ("Créer", &self.create),
            ("Afficher le mot de passe", &self.display),
            ("Exporter le PDF", &self.export),
            ("Réinitialiser", &self.reset),
        ]
    }
}

/// One account in each of the manager's first structures, its password displayed, exported and
/// reset.
pub async fn measure(portal: &Portal) -> Acts {
    let mut acts = Acts::default();
    for structure in &portal.structures[1..=ROUNDS] {
        let browser = &portal.browser;
        let form = browser.open(&format!("/structures/{}/utilisateurs-techniques/nouveau", structure.id)).await;
        let action = format!("/structures/{}/utilisateurs-techniques", structure.id);
        let typed = [("libelle", "ERP")];
        let created = timed(&mut acts.create, browser.submit(&form, &action, &typed)).await;
        let summary = created.location();
        let account = summary.trim_end_matches("/recapitulatif").to_owned();
        let page = timed(&mut acts.display, browser.open(&summary)).await;
        let export = format!("{account}/informations-de-connexion");
        let pdf = timed(&mut acts.export, browser.submit(&page, &export, &[])).await;
        assert!(pdf.body.starts_with(b"%PDF"), "{}", pdf.status);
        let reset = format!("{account}/mot-de-passe");
        let confirmation = browser.open(&reset).await;
        timed(&mut acts.reset, browser.submit(&confirmation, &reset, &[])).await.location();
    }
    acts
}

async fn timed<T>(times: &mut Vec<Duration>, act: impl Future<Output = T>) -> T {
    let start = Instant::now();
    let done = act.await;
    times.push(start.elapsed());
    done
}
