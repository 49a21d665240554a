// Every state of every page, once. The gallery paints this list and the judges walk through it: a
// new page, or a new state of one, is added here.

import { longLabel } from "./fixtures.js";
import {
  confirm,
  createTechnicalUser,
  designation,
  exportButton,
  leaveWithoutRegret,
  readSummary,
  requestKept,
  requestMembership,
  reset,
} from "./journey.js";
import { newVisitor } from "./browser.js";
import { beginSecondFactor, code, codeField, confirmKey, giveCode, secondFactorPage, shownKey } from "./second-factor.js";

const at = (path) => (walk) => walk.page.goto(typeof path === "function" ? path(walk) : path);
const structure = (name, rest = "") => at(({ fixtures }) => `/structures/${fixtures.structures[name]}${rest}`);
const cardForm = "/informations-generales";
const account = (name, rest = "") => at(({ fixtures }) => `/utilisateurs-techniques/${fixtures.accounts[name]}${rest}`);

/** One thing after the other. */
const then = (...steps) => async (walk) => {
  for (const step of steps) await step(walk);
};
const press = (name) => ({ visitor }) => visitor.press(name);
const fill = (label, text) => ({ page }) => page.getByLabel(label, { exact: true }).fill(text);
const check = (label) => ({ page }) => page.getByLabel(label, { exact: true }).check();
const rename = ({ page }) => page.locator(".rename > summary").click();
const sees = (text) => ({ visitor }) => visitor.sees(text);

/** Confirms a batch: the button says what it does. */
const confirmBatch = ({ page }) => page.locator("form[action='/lots'] button").click();

/** Presses the first of several buttons of that name. */
const pressFirst = (name) => ({ page }) => page.getByRole("button", { name, exact: true }).first().click();

/** Changes a form in a way that no person can, and sends it. */
const tamper = (change) => async ({ page }) => {
  await Promise.all([page.waitForNavigation(), page.evaluate(change)]);
};

const showHandover = "Afficher les informations de connexion";

const nobody = [
  ["connexion", at("/connexion")],
  ["connexion-deconnecte", at("/connexion?avis=signed-out")],
  ["connexion-session-terminee", at("/connexion?avis=session-expired&suite=%2Fmon-compte")],
  ["connexion-refusee", ({ visitor }) => visitor.signIn({ login: "personne@exemple.fr", password: "faux" }), 422],
  ["connexion-compte-technique", ({ visitor }) => visitor.signIn({ login: "TECH_1_21690123100011@cpro.fr", password: "faux" }), 422],
  ["connexion-trop-de-tentatives", tooManySignIns, 429, 422],
  ["oublie", at("/mot-de-passe-oublie")],
  ["oublie-en-erreur", then(at("/mot-de-passe-oublie"), press("Recevoir un lien")), 422],
  ["oublie-demande-enregistree", at("/connexion?avis=password-link-asked")],
  ["lien-invitation", at(({ fixtures }) => fixtures.links.invited)],
  ["lien-mot-de-passe-oublie", at(({ fixtures }) => fixtures.links.forgotten)],
  ["lien-qui-rend-une-adresse", linkThatRestores],
  ["lien-conseil", then(at(({ fixtures }) => fixtures.links.invited), fill("Nouveau mot de passe", "aaaaaaaaaaaaaaaa"), sees("Facile à deviner"))],
  ["lien-en-erreur", then(at(({ fixtures }) => fixtures.links.invited), fill("Nouveau mot de passe", "court"), press("Enregistrer le mot de passe")), 422],
  ["lien-expire", at("/invitation/perimee"), 404, 410],
  ["lien-adresse", at(({ fixtures }) => fixtures.links.address)],
  ["lien-adresse-expire", at("/confirmation-adresse/perimee"), 404, 410],
  ["remise", at(({ fixtures }) => fixtures.links.handover)],
  ["remise-code", at(({ fixtures }) => fixtures.links.handoverWithCode)],
  ["remise-code-en-erreur", then(at(({ fixtures }) => fixtures.links.handoverWithCode), fill("Code", "quatre mots mal dits"), press(showHandover)), 422],
  ["remise-code-faux", then(fill("Code", "abeille boulon chameau zinc"), press(showHandover)), 422],
  ["remise-deja-ouverte", at(({ fixtures }) => fixtures.links.handoverOpened), 410],
  ["remise-signalee", ({ page }) => page.locator("main form button").click(), 410],
  ["remise-revoquee", at(({ fixtures }) => fixtures.links.handoverRevoked), 410],
  ["remise-expiree", at(({ fixtures }) => fixtures.links.handoverExpired), 410],
  ["remise-fermee", at(({ fixtures }) => fixtures.links.handoverClosed), 410],
  ["remise-sans-effet", at(({ fixtures }) => fixtures.links.handoverWorthless), 410],
  ["remise-inconnue", at("/remise/inconnue"), 404],
  ["plan-du-site", at("/plan-du-site")],
  ["accessibilite", at("/accessibilite")],
  ["mentions-legales", at("/mentions-legales")],
  ["donnees-personnelles", at("/donnees-personnelles")],
  ["cookies", at("/cookies")],
  ["documentation-api", at("/documentation-api")],
  ["erreur-404", at("/nulle-part"), 404],
  ["erreur-405", at("/deconnexion"), 405],
  ["erreur-422", then(at("/connexion"), tamper(() => (document.querySelector("[name=identifiant]").remove(), document.querySelector("main form").submit()))), 422],
  ["erreur-413", then(at("/connexion"), tamper(() => ((document.querySelector("[name=identifiant]").value = "x".repeat(70_000)), document.querySelector("main form").submit()))), 413],
];

const member = [
  ["mon-compte-utilisateur", at("/mon-compte")],
  ["mon-compte-ancienne-adresse", formerAddress],
  ["mon-compte-proposition", offeredStructure],
  ["proposition", offerToAnswer],
  ["mon-compte-depart", then(at("/mon-compte"), pressFirst("Quitter cette structure"))],
  ["mon-compte-adresse-a-confirmer", unconfirmedAddress],
  ["mon-compte-adresse-renvoyee", then(press("Renvoyer le courriel de confirmation"), sees("Un nouveau courriel de confirmation part"))],
  ["mon-compte-adresse-trop-de-messages", then(press("Renvoyer le courriel de confirmation"), sees("Un nouveau courriel de confirmation part"), press("Renvoyer le courriel de confirmation")), 422],
  ["plan-du-site-utilisateur", at("/plan-du-site")],
  ["erreur-403", at("/activites"), 403],
  ["double-authentification", at(secondFactorPage)],
  ["double-authentification-cle", ({ visitor }) => beginSecondFactor(visitor)],
  ["double-authentification-cle-copiee", then(press("Copier la clé"), sees("Clé copiée."))],
  ["double-authentification-en-erreur", ({ visitor }) => confirmKey(visitor, "12345"), 422],
  ["codes-de-secours", proveTheSecondFactor],
  ["double-authentification-activee", at(secondFactorPage)],
  ["codes-de-secours-nouveaux", press("Nouveaux codes de secours")],
  ["double-authentification-desactivee", then(at(secondFactorPage), press("Désactiver"), sees("La double authentification est désactivée."))],
  ["mon-compte-double-authentification", then(setUpSecondFactor, at("/mon-compte"))],
  ["confirmation-identite-code", then(at(secondFactorPage), grownStale(press("Désactiver"))), 403],
  ["confirmation-identite-code-en-erreur", wrongConfirmation, 422],
  ["connexion-code", then(press("Se déconnecter"), ({ visitor, portal }) => visitor.signIn(portal.member))],
  ["connexion-code-en-erreur", ({ visitor }) => giveCode(visitor, "000"), 422],
  ["connexion-code-trop-de-tentatives", tooManyCodes, 429, 422],
];

const managerOfOne = [
  ["activites-une-structure", at("/activites")],
  ["utilisateurs-techniques-aucun", at("/activites/utilisateurs-techniques")],
  ["calendrier-sans-echeance", at("/activites/echeances")],
  ["demandes-vides", at("/mon-compte/demandes-de-rattachement")],
  ["demandes-en-erreur", then(at("/mon-compte/demandes-de-rattachement"), ({ visitor }) => requestMembership(visitor, "123")), 422],
  ["demandes-en-attente", requestToBeAttached],
  ["fiche-membres-invites", withInvitedMember],
];

const manager = [
  ["activites", at("/activites?avis=signed-in")],
  ["activites-demandes", withRequests],
  ["activites-derniere-page", at("/activites?page=15")],
  ["activites-recherche", at("/activites?recherche=bourg")],
  ["activites-sans-resultat", at("/activites?recherche=Introuvable-sur-Loire")],
  ["activites-echeances", at("/activites?echeance=60-jours&tri=echeance")],
  ["utilisateurs-techniques", at("/activites/utilisateurs-techniques")],
  ["utilisateurs-techniques-en-echec", at("/activites/utilisateurs-techniques?etat=echec")],
  ["utilisateurs-techniques-sans-resultat", at("/activites/utilisateurs-techniques?recherche=introuvable")],
  ["utilisateurs-techniques-echeances-d-un-mois", then(at("/activites/echeances"), ({ page }) => page.locator("a.month").first().click())],
  ["utilisateurs-techniques-choix", at("/activites/utilisateurs-techniques?choix=oui")],
  ["utilisateurs-techniques-choix-tous", at("/activites/utilisateurs-techniques?etat=a-renouveler&choix=tous")],
  ["activites-choix", at("/activites?recherche=bourg&choix=page")],
  ["choix-vide", at("/activites/choix?recherche=bourg&portee=coches"), 422],
  ["choix-sans-action", at("/activites/utilisateurs-techniques/choix?portee=coches"), 422],
  ["choix-impossible", at(({ fixtures }) => `/activites/choix?structure-${fixtures.structures.inactive}=oui`)],
  ["choix-creation", at("/activites/choix?portee=tous")],
  ["choix-creation-en-erreur", then(fill("Libellé", `${longLabel} de trop`), confirmBatch), 422],
  ["choix-reinitialisation", at("/activites/utilisateurs-techniques/choix?acte=RESET&portee=tous")],
  ["choix-reinitialisation-en-erreur", confirmBatch, 422],
  ["choix-suspension", at("/activites/utilisateurs-techniques/choix?acte=SUSPEND&portee=tous")],
  ["choix-reactivation", at("/activites/utilisateurs-techniques/choix?acte=REACTIVATE&portee=tous&etat=suspendu")],
  ["lot-en-cours", batchUnderWay],
  ["activites-lot-en-cours", at("/activites")],
  ["calendrier", at("/activites/echeances")],
  ["calendrier-lien", then(at("/activites/echeances"), press("Créer un lien d’abonnement"))],
  ["calendrier-lien-en-service", at("/activites/echeances")],
  ["calendrier-lien-revoque", then(press("Révoquer le lien"), sees("Le lien d’abonnement est révoqué"))],
  ["fiche-sans-utilisateur-technique", structure("empty")],
  ["fiche-deux-utilisateurs-techniques", structure("two")],
  ["fiche-complete", structure("full")],
  ["fiche-inactive", structure("inactive")],
  ["fiche-noms-longs", structure("long")],
  ["fiche-membre-en-attente", pendingMember],
  ["fiche-designation-proposee", offerThatWaits],
  ["fiche-compte-cree", at(({ fixtures }) => `/structures/${fixtures.structures.full}#compte-${fixtures.accounts.never}`)],
  ["fiche-invitation-renvoyee", then(structure("full"), press("Renvoyer l’invitation"), sees("L’invitation est envoyée de nouveau."))],
  ["fiche-modification", structure("two", cardForm)],
  ["fiche-modification-noms-longs", structure("long", cardForm)],
  ["fiche-enregistree", then(structure("empty", cardForm), press("Enregistrer"), sees("Les informations générales sont enregistrées."))],
  ["fiche-rendue-inactive", structure("inactive", "?avis=structure-deactivated")],
  ["fiche-role-modifie", structure("full", "?avis=member-became-secondary-manager")],
  ["fiche-en-erreur", then(structure("empty", cardForm), fill("Désignation", ""), fill("Adresse électronique", "pas une adresse"), press("Enregistrer")), 422],
  ["fiche-code-postal-en-erreur", then(structure("empty", cardForm), fill("Code postal", "9"), press("Enregistrer")), 422],
  ["fiche-popup-inactive", then(structure("two", cardForm), check("Inactive"), press("Enregistrer"))],
  ["fiche-confirmation-inactive", then(structure("two", cardForm), check("Inactive"), tamper(() => document.getElementById("fiche").submit()))],
  ["fiche-popup-gestionnaire", then(structure("empty"), press(designation))],
  ["fiche-popup-role", then(structure("full"), pressFirst("Modifier le rôle"))],
  ["fiche-popup-retrait", then(structure("long"), pressFirst("Retirer"))],
  ["gestionnaire", structure("empty", "/gestionnaire-principal")],
  ["gestionnaire-en-erreur", then(structure("empty", "/gestionnaire-principal"), press("Confirmer")), 422],
  ["gestionnaire-noms-longs", structure("long", "/gestionnaire-principal")],
  ["gestionnaire-invite", structure("full", "/gestionnaire-principal")],
  ["gestionnaire-invite-en-erreur", then(structure("full", "/gestionnaire-principal"), tamper(() => {
    const invited = document.querySelector("main option:disabled");
    invited.disabled = false;
    invited.selected = true;
    invited.closest("form").submit();
  })), 422],
  ["fiche-popup-gestionnaire-invite", then(structure("full"), press(designation))],
  ["membre-invitation", structure("empty", "/membres/invitation")],
  ["membre-invitation-en-erreur", then(structure("empty", "/membres/invitation"), press("Inviter")), 422],
  ["membre-role", membershipOf("long", "role")],
  ["membre-retrait", membershipOf("long", "retrait")],
  ["membre-retraits", membershipOf("long", "retraits")],
  ["membre-retraits-en-erreur", then(membershipOf("long", "retraits"), untickAll, press("Vérifier les retraits")), 422],
  ["membre-retraits-verification", then(membershipOf("long", "retraits"), press("Vérifier les retraits"))],
  ["historique", structure("two", "/historique")],
  ["historique-vide", structure("inactive", "/historique")],
  ["historique-pages", then(structure("full", "/historique"), ({ visitor }) => visitor.follow("Plus anciennes"), sees("Plus récentes"))],
  ["historique-criteres", structure("two", "/historique?operation=TECHNICAL_USER_CREATED&du=01%2F01%2F2020")],
  ["historique-sans-resultat", structure("two", "/historique?compte=TECH_99")],
  ["historique-en-erreur", structure("two", "/historique?operation=ACT_REFUSED&du=31%2F02%2F2027&au=demain"), 422],
  ["saisie", structure("empty", "/utilisateurs-techniques/nouveau")],
  ["saisie-en-erreur", then(structure("empty", "/utilisateurs-techniques/nouveau"), fill("Libellé", `${longLabel} de trop`), press("Créer l’utilisateur technique")), 422],
  ["saisie-noms-longs", structure("long", "/utilisateurs-techniques/nouveau")],
  ["recapitulatif", then(structure("work"), ({ visitor }) => createTechnicalUser(visitor, "Logiciel de facturation"))],
  ["recapitulatif-copie", then(press("Copier"), sees("Mot de passe copié."))],
  ["recapitulatif-aide-ouverte", then(openHelp, sees("Copier la commande"))],
  ["recapitulatif-exporte", then(press(exportButton), sees("Document exporté"))],
  ["recapitulatif-deja-affiche", ({ page }) => page.reload()],
  ["recapitulatif-pret", createdElsewhere],
  ["recapitulatif-perime", account("never", "/recapitulatif")],
  ["recapitulatif-ancien-garde", keptFormerPassword],
  ["utilisateur-technique-remis-noms-longs", account("long")],
  ["recapitulatif-noms-longs", then(account("long"), ({ visitor }) => confirm(visitor, reset), ({ visitor }) => readSummary(visitor))],
  ["recapitulatif-popup-remise", then(structure("handed"), ({ visitor }) => createTechnicalUser(visitor, "Logiciel de la régie"), press("Créer un lien de remise"))],
  ["remettre-en-erreur", then(({ visitor, page }) => visitor.press("Créer le lien", page.getByRole("dialog")), sees("Le formulaire comporte 1 erreur")), 422],
  ["remettre-lien", then(nameRecipient, press("Créer le lien"), press("Copier le lien"), sees("Lien copié."))],
  ["remettre", toHandOver("Logiciel de paie")],
  ["remettre-lien-code", then(nameRecipient, check("Demander aussi un code, que je dirai par téléphone"), press("Créer le lien"))],
  ["remise-ouverte", openedHandover],
  ["remise-ouverte-aide", openHelp],
  ["utilisateur-technique-remis-ouvert", handedAccount],
  ["utilisateur-technique-remis", account("waiting")],
  ["utilisateur-technique-alarme-de-remise", account("alarmed")],
  ["popup-revocation-de-remise", then(account("waiting"), press("Révoquer le lien"))],
  ["confirmation-revocation-de-remise", account("waiting", "/remise/revocation")],
  ["utilisateur-technique-remise-revoquee", then(press("Confirmer"), sees("Le lien est révoqué"))],
  ["utilisateurs-techniques-connus-d-un-integrateur", at("/activites/utilisateurs-techniques?etat=connu-integrateur")],
  ["utilisateur-technique", then(structure("two"), ({ visitor }) => visitor.follow("Archivage des factures"))],
  ["utilisateur-technique-bientot-expire", then(structure("two"), ({ visitor }) => visitor.follow("Logiciel comptable"))],
  ["utilisateur-technique-ancien-mot-de-passe", account("today")],
  ["utilisateur-technique-connu", account("known")],
  ["utilisateur-technique-expire", account("expired")],
  ["utilisateur-technique-suspendu", account("suspended", "?avis=suspended")],
  ["utilisateur-technique-jamais-affiche", account("never")],
  ["utilisateur-technique-noms-longs", account("long")],
  ["utilisateur-technique-en-echec", account("failing")],
  ["utilisateur-technique-structure-inactive", account("inactive")],
  ["utilisateur-technique-pret", readyToShow],
  ["utilisateur-technique-libelle-ouvert", then(account("today"), rename)],
  ["utilisateur-technique-libelle-en-erreur", then(account("never"), rename, fill("Libellé", "Archivage des factures".repeat(5)), press("Enregistrer le libellé")), 422],
  ["utilisateur-technique-libelle-enregistre", account("never", "?avis=label-saved")],
  ["utilisateur-technique-restreint", account("restricted")],
  ["utilisateur-technique-restrictions-enregistrees", account("restricted", "?avis=restrictions-saved")],
  ["restrictions", account("never", "/restrictions")],
  ["restrictions-choisies", account("restricted", "/restrictions")],
  ["restrictions-adresse-ajoutee", then(account("never", "/restrictions"), press("Ajouter 203.0.113.7"))],
  ["restrictions-recherche", then(account("restricted", "/restrictions"), fill("Rechercher une structure", "bourg"), press("Rechercher"))],
  ["restrictions-deuxieme-page", then(account("restricted", "/restrictions"), press("Page suivante"))],
  ["restrictions-en-erreur", then(account("never", "/restrictions"), check("Seulement depuis ces adresses IP"), fill("Liste des réseaux", "192.0.2.7/24"), check("Celles que je choisis"), press("Vérifier les modifications")), 422],
  ["restrictions-verification", then(account("never", "/restrictions"), press("Ajouter 203.0.113.7"), press("Vérifier les modifications"))],
  ["restrictions-verification-verrou", then(account("never", "/restrictions"), check("Seulement depuis l’adresse du premier appel"), press("Vérifier les modifications"))],
  ["restrictions-verification-levee", then(account("restricted", "/restrictions"), check("De partout (toute adresse IP)"), check("Toutes celles du gestionnaire principal"), press("Vérifier les modifications"))],
  ["popup-reinitialisation", then(account("known"), press(reset))],
  ["popup-reinitialisation-sans-appel", then(account("long"), resetWithoutCall)],
  ["popup-ancien-mot-de-passe", then(account("today"), press("Supprimer l’ancien mot de passe maintenant"))],
  ["popup-suspension", then(account("known"), press("Suspendre"))],
  ["popup-reactivation", then(account("suspended"), press("Réactiver"))],
  ["popup-suppression", then(account("known"), press("Supprimer"))],
  ["popup-suppression-noms-longs", then(account("long"), press("Supprimer"))],
  ["confirmation-reinitialisation", account("known", "/mot-de-passe")],
  ["confirmation-reinitialisation-en-erreur", then(account("known", "/mot-de-passe"), press("Confirmer")), 422],
  ["confirmation-ancien-mot-de-passe", account("today", "/ancien-mot-de-passe")],
  ["confirmation-suspension", account("known", "/suspension")],
  ["confirmation-reactivation", account("suspended", "/reactivation")],
  ["confirmation-suppression", account("known", "/suppression")],
  ["mon-compte", at("/mon-compte")],
  ["mon-compte-adresse-refusee", refusedAddress],
  ["activites-courriels-refuses", refusedInvitation],
  ["mon-compte-sessions", otherSession],
  ["mon-compte-sessions-fermees", then(press("Fermer toutes les autres sessions"), sees("Toutes vos autres sessions sont fermées."))],
  ["mon-compte-en-erreur", then(at("/mon-compte"), fill("Adresse de contact", "pas une adresse"), press("Enregistrer l’adresse de contact")), 422],
  ["mon-compte-mot-de-passe-en-erreur", then(at("/mon-compte"), fill("Mot de passe actuel", "faux"), fill("Nouveau mot de passe", "court"), press("Changer mon mot de passe")), 422],
  ["confirmation-identite", then(structure("empty", "/utilisateurs-techniques/nouveau"), grownStale(press("Créer l’utilisateur technique"))), 403],
  ["confirmation-identite-en-erreur", fresh(then(fill("Mot de passe", "faux"), press("Confirmer et poursuivre"))), 422],
  ["session-presque-finie", ageOfSession("11 hours 56 minutes", structure("empty", "/utilisateurs-techniques/nouveau"))],
  ["connexion-saisie-conservee", then(structure("empty", "/utilisateurs-techniques/nouveau"), fill("Libellé", "Logiciel de paie"), closedSessions, press("Créer l’utilisateur technique")), 403],
  ["reprise-de-saisie", then(({ visitor, portal }) => visitor.signInHere(portal.manager), sees("Reprenez votre saisie"))],
  ["plan-du-site-gestionnaire", at("/plan-du-site")],
  ["erreur-404-connecte", at("/structures/999999"), 404],
  ["erreur-409", then(account("known"), tamper(() => {
    const form = document.querySelector("#dialogue-reinitialisation form");
    form.elements.version.value = 99;
    // Where programs use the password, nothing is chosen yet.
    form.querySelector("[name=ancien]")?.click();
    form.submit();
  })), 409],
  ["lot-recapitulatif", resetTogether],
  ["lot-exporte", then(press("Exporter les fiches (PDF)"), sees("Fiches exportées"))],
  ["lot-chiffrement", ({ page }) => page.getByText("Exporter un fichier chiffré, que seul").click()],
  ["lot-chiffrement-en-erreur", then(fill("Clé publique de l’intégrateur", "ssh-ed25519 AAAA"), press("Exporter le fichier chiffré (CSV)"), sees("Ce n’est pas une clé publique age.")), 422],
  ["utilisateurs-techniques-lot-a-exporter", at("/activites/utilisateurs-techniques")],
  ["lot-remise", then(at("/activites"), ({ visitor }) => visitor.follow("Ouvrir le récapitulatif groupé"), ({ visitor }) => visitor.follow("Remettre à un intégrateur"))],
  ["lot-remise-en-erreur", press("Créer le lien"), 422],
  ["lot-remise-lien", then(fill("Destinataire", "Zoé Petit, société Exemple"), press("Créer le lien"), sees("Le lien est créé."))],
  ["lot-sans-fichier", ({ visitor }) => visitor.follow("Retour au lot")],
  ["erreur-429", tooManyPasswords, 429],
  ["mon-compte-mot-de-passe-trop-souvent", tooManyChangesOfPassword, 429],
  ["erreur-500", brokenTable, 500],
  ["erreur-503", databaseGone, 503],
  // The browser's clock is set from here on.
  ["session-a-prolonger", then(clockAhead("25:30", structure("empty", "/utilisateurs-techniques/nouveau")), sees("Votre session se termine dans 5 minutes."))],
  ["session-finie", then(({ page }) => page.clock.fastForward("05:00"), sees("Votre session est terminée."))],
];

/**
 * Every state: its name, whose eyes see it, how it is reached from anywhere, the statuses that it
 * answers with.
 */
export const states = Object.entries({ nobody, member, managerOfOne, manager }).flatMap(([person, list]) =>
  list.map(([name, open, ...statuses]) => ({ name, person, open, statuses })),
);

/**
 * Shows every state, one after the other, to `look(visitor, state)`, which may change width and
 * colours and puts them back.
 */
export async function walkThrough(browser, portal, fixtures, look, wanted = () => true) {
  for (const person of new Set(states.map((state) => state.person))) {
    const mine = states.filter((state) => state.person === person && wanted(state));
    if (mine.length === 0) continue;
    const visitor = await newVisitor(browser, portal, {
      permissions: ["clipboard-read", "clipboard-write"],
      // Colours change at once, so that pictures do not show a transition.
      reducedMotion: "reduce",
    });
    leaveWithoutRegret(visitor);
    if (portal[person]) await visitor.signIn(portal[person]);
    for (const state of mine) {
      visitor.expectStatus(...state.statuses);
      await state.open({ visitor, page: visitor.page, portal, fixtures });
      await visitor.page.waitForLoadState();
      const answered = visitor.status;
      if (!(state.statuses.length ? state.statuses : [200]).includes(answered)) throw new Error(`${state.name} answers ${answered}`);
      await look(visitor, state);
      await state.open.undo?.({ portal, fixtures });
    }
    await visitor.leave();
  }
}

/** A batch whose work no instance takes up. */
async function batchUnderWay({ page, portal, fixtures }) {
  await portal.sql(`INSERT INTO batches (manager_id, token, request, act, actor, address, session_hash, session_key, claimed_until)
                    SELECT id, 'en-cours', '', 'RESET', login, '192.0.2.1', '', '', now() + interval '1 day' FROM users WHERE login = '${portal.manager.login}';
                    INSERT INTO batch_items (batch_id, position, structure_id, technical_user_id, done_at)
                    SELECT (SELECT max(id) FROM batches), n, ${fixtures.structures.two}, ${fixtures.accounts.known}, CASE WHEN n < 43 THEN now() END
                      FROM generate_series(1, 120) n`);
  await page.goto("/activites");
  await page.getByRole("link", { name: "Suivre son avancement" }).click();
}

/** Two passwords that were reset together, once the work is done. */
async function resetTogether({ visitor, page, portal, fixtures }) {
  await portal.sql("DELETE FROM batches WHERE finished_at IS NULL");
  const { expired, never } = fixtures.accounts;
  await page.goto(`/activites/utilisateurs-techniques/choix?acte=RESET&compte-${expired}=oui&compte-${never}=oui`);
  await visitor.press("Réinitialiser 2 mots de passe");
  await visitor.sees("Récapitulatif groupé");
}

async function nameRecipient({ page }) {
  await page.getByLabel("Destinataire", { exact: true }).fill("Zoé Petit, société Exemple");
  await page.getByLabel("Adresse électronique du destinataire").fill("zoe.petit@exemple.fr");
}

/** The form that follows the creation of an account whose password is not displayed. */
function toHandOver(label) {
  return async ({ visitor, page, fixtures }) => {
    await page.goto(`/structures/${fixtures.structures.handed}/utilisateurs-techniques/nouveau`);
    await page.getByLabel("Libellé").fill(label);
    await page.getByLabel("Le remettre à un intégrateur, sans l’afficher").check();
    await visitor.press("Créer l’utilisateur technique");
    await visitor.seesTitle("Remettre à un intégrateur");
  };
}

/** The page of the link that the page before has shown, with its code. */
async function openedHandover({ visitor, page, portal }) {
  const [link, words] = await Promise.all(["#lien", "#code"].map((id) => page.locator(id).innerText()));
  [link.split("/").pop(), words].forEach((secret) => portal.remember(secret));
  await page.goto(link);
  await page.getByLabel("Code", { exact: true }).fill(words);
  await visitor.press(showHandover);
  await visitor.sees("le lien ne s’ouvrira plus");
}

/** The account that was handed over last. */
async function handedAccount({ page, portal }) {
  await page.goto(`/utilisateurs-techniques/${await portal.sql("SELECT max(technical_user_id) FROM handed_over_passwords WHERE opened_at IS NOT NULL")}`);
}

async function untickAll({ page }) {
  for (const box of await page.getByRole("checkbox").all()) await box.uncheck();
}

async function openHelp({ page }) {
  for (const summary of await page.locator("details > summary").all()) await summary.click();
}

/** The reset of an account that nothing has called for some time. */
async function resetWithoutCall({ visitor, page, portal, fixtures }) {
  await portal.sql(`UPDATE technical_users SET last_call_at = last_call_at - interval '9 days' WHERE id = ${fixtures.accounts.long}`);
  await page.reload();
  await visitor.press(reset);
}
resetWithoutCall.undo = ({ portal, fixtures }) => portal.sql(`UPDATE technical_users SET last_call_at = last_call_at + interval '9 days' WHERE id = ${fixtures.accounts.long}`);

async function tooManySignIns({ visitor, page }) {
  for (let tries = 0; tries < 8; tries++) {
    await visitor.signIn({ login: "quelquun@exemple.fr", password: `faux ${tries}` });
    if (await page.getByText("Trop de tentatives").count()) return;
  }
  throw new Error("as many attempts as one likes");
}

async function unconfirmedAddress({ visitor, page }) {
  await page.goto("/mon-compte");
  await page.getByLabel("Adresse de contact").fill("nouvelle.adresse@exemple.fr");
  await visitor.press("Enregistrer l’adresse de contact");
  await visitor.sees("À confirmer");
}

/** An address that was confirmed before still is a way back. */
async function formerAddress({ page, portal }) {
  await portal.sql(`INSERT INTO recovery_addresses (user_id, address, ends_at)
                    SELECT id, 'adresse.precedente@exemple.fr', now() + interval '13 days' FROM users WHERE login = '${portal.member.login}'`);
  await page.goto("/mon-compte");
}
formerAddress.undo = ({ portal }) => portal.sql("DELETE FROM recovery_addresses");

/** The mail server of the manager's address knows no such mailbox. */
async function refusedAddress({ page, portal }) {
  await portal.sql(`INSERT INTO refused_addresses (address) SELECT lower(contact_address) FROM users WHERE login = '${portal.manager.login}'`);
  await page.goto("/mon-compte");
}
const withoutRefusals = ({ portal }) => portal.sql("DELETE FROM refused_addresses; UPDATE memberships SET invited_as = NULL");
refusedAddress.undo = withoutRefusals;

/** Nor does the server of an address that the manager typed. */
async function refusedInvitation({ page, portal, fixtures }) {
  const { people, structures } = fixtures;
  await portal.sql(`UPDATE memberships SET invited_as = 'inconnue@exemple.fr' WHERE user_id = ${people.long} AND structure_id = ${structures.full};
                    INSERT INTO refused_addresses (address) SELECT lower(contact_address) FROM users WHERE login = '${portal.manager.login}'
                    UNION SELECT 'inconnue@exemple.fr'`);
  await page.goto("/activites");
}
refusedInvitation.undo = withoutRefusals;

/** A link that was mailed to the address before the present one. */
async function linkThatRestores({ page, portal, fixtures }) {
  await portal.sql(`UPDATE users SET former_contact_address = 'adresse.precedente@exemple.fr' WHERE id = ${fixtures.people.former}`);
  await page.goto(fixtures.links.forgotten);
}
linkThatRestores.undo = ({ portal, fixtures }) =>
  portal.sql(`UPDATE users SET former_contact_address = contact_address WHERE id = ${fixtures.people.former}`);

/** Of two members: one has not signed in since, the other has not confirmed the address. */
async function pendingMember({ page, portal, fixtures }) {
  const { people, structures } = fixtures;
  await portal.sql(`UPDATE memberships SET invited_as = 'ancienne@exemple.fr' WHERE user_id = ${people.long} AND structure_id = ${structures.full};
                    UPDATE users SET contact_address_confirmed_at = NULL WHERE id = ${people.long}`);
  await page.goto(`/structures/${structures.full}`);
}
pendingMember.undo = ({ portal }) => portal.sql("UPDATE memberships SET invited_as = NULL; UPDATE users SET contact_address_confirmed_at = portal_now() WHERE former_contact_address IS NULL");

/** Offers a structure to one of its members. */
const offer = (portal, structure, successor) => portal.sql(`
  INSERT INTO succession_offers (structure_id, successor_id, offered_by)
  SELECT s.id, m.user_id, s.principal_manager_id FROM structures s JOIN memberships m ON m.structure_id = s.id JOIN users u ON u.id = m.user_id
   WHERE ${structure} AND ${successor} AND m.user_id <> s.principal_manager_id ORDER BY s.id LIMIT 1 RETURNING structure_id`);
const withoutOffer = ({ portal }) => portal.sql("DELETE FROM succession_offers");

async function offeredStructure({ page, portal }) {
  await offer(portal, "true", `u.login = '${portal.member.login}'`);
  await page.goto("/mon-compte");
}
offeredStructure.undo = withoutOffer;

async function offerToAnswer({ page, portal }) {
  const id = await offer(portal, "true", `u.login = '${portal.member.login}'`);
  await page.goto(`/mon-compte/propositions/${id}`);
}
offerToAnswer.undo = withoutOffer;

async function offerThatWaits({ page, portal, fixtures }) {
  await offer(portal, `s.id = ${fixtures.structures.long}`, `u.id = ${fixtures.people.long}`);
  await page.goto(`/structures/${fixtures.structures.long}`);
}
offerThatWaits.undo = withoutOffer;

async function requestToBeAttached({ visitor, page, portal, fixtures }) {
  const identifier = await portal.sql(`SELECT identifier FROM structures WHERE id = ${fixtures.structures.work}`);
  await page.goto("/mon-compte/demandes-de-rattachement");
  await requestMembership(visitor, identifier);
  await visitor.sees(requestKept);
}

/** The card of a structure whose one other member has never signed in. */
async function withInvitedMember({ page, portal, fixtures }) {
  const id = await portal.sql(
    `SELECT s.id FROM structures s JOIN users u ON u.id = s.principal_manager_id WHERE u.login = '${portal.managerOfOne.login}'`,
  );
  await portal.sql(`INSERT INTO memberships (user_id, structure_id, role) VALUES (${fixtures.people.invited}, ${id}, 'USER')`);
  await page.goto(`/structures/${id}`);
}

async function withRequests({ page, portal, fixtures }) {
  await portal.sql(`INSERT INTO membership_requests (user_id, identifier_type, identifier)
                    SELECT ${fixtures.people.long}, identifier_type, identifier FROM structures WHERE id = ${fixtures.structures.work}`);
  await page.goto("/activites");
}

/** The person is signed in elsewhere, too. */
async function otherSession({ page, portal }) {
  await portal.sql(`INSERT INTO sessions (id_hash, data, user_id, address, software)
                    SELECT sha256('ailleurs'), '{}', id, '192.0.2.80', 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'
                      FROM users WHERE login = '${portal.manager.login}'`);
  await page.goto("/mon-compte");
}

function membershipOf(person, act) {
  return async ({ page, portal, fixtures }) => {
    const id = await portal.sql(
      `SELECT id FROM memberships WHERE user_id = ${fixtures.people[person]} AND structure_id = ${fixtures.structures.full}`,
    );
    await page.goto(`/rattachements/${id}/${act}`);
  };
}

/** The account whose creation was answered last, and whose password still waits. */
async function readyToShow(walk) {
  await createdElsewhere(walk, "Réponse perdue aussi");
  await walk.page.goto(walk.page.url().replace("/recapitulatif", ""));
}

/** An account whose password waits to be shown: the answer to its creation was lost. */
async function createdElsewhere({ visitor, page, portal, fixtures }, libelle = "Réponse perdue") {
  const collection = `/structures/${fixtures.structures.work}/utilisateurs-techniques`;
  await page.goto(`${collection}/nouveau`);
  const jeton = await page.locator("main [name=jeton]").inputValue();
  const answer = await visitor.context.request.post(collection, {
    form: { jeton, libelle },
    headers: { "sec-fetch-site": "same-origin", origin: portal.url },
    maxRedirects: 0,
  });
  await page.goto(answer.headers().location);
  await visitor.sees("Le mot de passe est prêt à être affiché.");
}

async function keptFormerPassword({ visitor, page, fixtures }) {
  await page.goto(`/utilisateurs-techniques/${fixtures.accounts.known}`);
  await visitor.press(reset);
  await page.getByRole("dialog").getByLabel("Garder l’ancien mot de passe pendant 24 heures").check();
  await visitor.press("Confirmer", page.getByRole("dialog"));
  await readSummary(visitor);
}

async function tooManyPasswords({ visitor, page, portal }) {
  await portal.sql(`INSERT INTO throttles (scope, subject_hash, network, failures, blocked_until)
                    SELECT 'OWN_PASSWORD', sha256(encode(s.id_hash, 'hex')::bytea), '', 9, now() + interval '1 minute'
                      FROM sessions s JOIN users u ON u.id = s.user_id WHERE u.login = '${portal.manager.login}'`);
  await changePassword(visitor, page);
}

async function tooManyChangesOfPassword({ visitor, page, portal }) {
  await portal.sql(`INSERT INTO throttles (scope, subject_hash, network, failures, blocked_until)
                    SELECT 'PASSWORD_CHANGE', sha256(id::text::bytea), '', 10, now() + interval '1 hour'
                      FROM users WHERE login = '${portal.manager.login}'`);
  await changePassword(visitor, page);
}

async function changePassword(visitor, page) {
  await page.goto("/mon-compte");
  await page.getByLabel("Mot de passe actuel").fill("faux");
  await page.getByLabel("Nouveau mot de passe").fill("un chat sur le radiateur");
  await visitor.press("Changer mon mot de passe");
}

async function proveTheSecondFactor({ visitor }) {
  await confirmKey(visitor, code(await shownKey(visitor)));
  await visitor.seesTitle("Codes de secours");
}

async function setUpSecondFactor(walk) {
  await beginSecondFactor(walk.visitor);
  await proveTheSecondFactor(walk);
}

async function wrongConfirmation({ visitor, page, portal }) {
  await page.getByLabel("Mot de passe", { exact: true }).fill(portal.member.password);
  await codeField(visitor).fill("12345");
  await visitor.press("Confirmer et poursuivre");
}

async function tooManyCodes({ visitor, page }) {
  for (let tries = 0; tries < 12; tries++) {
    await giveCode(visitor, `00${tries}`);
    if (await page.getByText("Trop de tentatives").count()) return;
  }
  throw new Error("as many codes as one likes");
}

function authenticated(ago) {
  return ({ portal }) => portal.sql(`UPDATE sessions SET authenticated_at = portal_now() - interval '${ago}'`);
}

/** Ends the manager's sessions in the database; the browser does not know. */
function closedSessions({ portal }) {
  return portal.sql(`DELETE FROM sessions WHERE user_id = (SELECT id FROM users WHERE login = '${portal.manager.login}')`);
}

/** An act that needs a more recent sign-in. */
function grownStale(act) {
  return then(authenticated("16 minutes"), act);
}

/** After this state acts are done as before. */
function fresh(open) {
  const step = (walk) => open(walk);
  return Object.assign(step, { undo: authenticated("0 minutes") });
}

/** A page of a session of that age. */
function ageOfSession(age, open) {
  const began = (ago) => ({ portal }) => portal.sql(`UPDATE sessions SET created_at = portal_now() - interval '${ago}' WHERE user_id IS NOT NULL`);
  const step = then(began(age), open, sees("Votre session se termine dans"));
  return Object.assign(step, { undo: began("1 minute") });
}

/** A page that has been left alone for so long. */
function clockAhead(time, open) {
  return async (walk) => {
    await walk.page.clock.install();
    await open(walk);
    await walk.page.clock.fastForward(time);
  };
}

async function brokenTable({ page, portal }) {
  portal.expectErrors();
  await portal.sql("ALTER TABLE membership_requests RENAME TO membership_requests_gone");
  await page.goto("/activites");
}
brokenTable.undo = ({ portal }) => portal.sql("ALTER TABLE membership_requests_gone RENAME TO membership_requests");

async function databaseGone({ page, portal }) {
  portal.expectErrors();
  await portal.sql("ALTER DATABASE raccord CONNECTION LIMIT 0", "postgres");
  // Who serves owns nothing, so only it may end its own connections.
  await portal.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user AND datname = 'raccord'", "postgres", "raccord_portal");
  await page.goto("/activites");
}
databaseGone.undo = ({ portal }) => portal.sql("ALTER DATABASE raccord CONNECTION LIMIT -1", "postgres");
