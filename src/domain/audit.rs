//! Audit events (rule 11): who did what, when, from which address, on which account; never a
//! secret.

use super::operator::OperatorName;

/// The audited operations. Their codes are stored for good: never rename one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    SignedIn,
    SignInFailed,
    SignedOut,
    PasswordChosen,
    PasswordLinkAsked,
    PersonInvited,
    PersonDisabled,
    PersonEnabled,
    SessionClosed,
    ContactAddressChanged,
    ContactAddressConfirmed,
    StructureEdited,
    MemberInvited,
    InvitationSentAgain,
    MembershipChanged,
    MembershipRemoved,
    MembershipLeft,
    MembershipRequested,
    MembershipRequestAccepted,
    MembershipRequestRefused,
    MembershipRequestWithdrawn,
    SuccessionOffered,
    SuccessionDeclined,
    SuccessionWithdrawn,
    ManagerChanged,
    TechnicalUserCreated,
    LabelChanged,
    PasswordShown,
    PasswordExported,
    PasswordReset,
    FormerPasswordEnded,
    PasswordExpiredEarly,
    HandoverMade,
    HandoverOpened,
    HandoverRefused,
    HandoverRevoked,
    TechnicalUserSuspended,
    TechnicalUserReactivated,
    TechnicalUserDeleted,
    RestrictionsChanged,
    NetworkLocked,
    BatchBegun,
    BatchFinished,
    ActRefused,
    CalendarLinkMade,
    CalendarLinkRevoked,
    CallsRefused,
    IdentityConfirmed,
    IdentityNotConfirmed,
    IdentityLinked,
    IdentityUnlinked,
    SecondFactorEnabled,
    SecondFactorDisabled,
    SecondFactorReset,
    RecoveryCodesRenewed,
    RecoveryCodeUsed,
    ServiceAdded,
    ServiceSecretRotated,
    ServiceDisabled,
    ServiceEnabled,
    ServiceRemoved,
    SigningKeysMade,
    SigningKeysRotated,
    SigningKeysReplaced,
}

impl Action {
    /// Every action, for [`Action::parse`].
    pub const ALL: [Self; 64] = [
        Self::SignedIn,
        Self::SignInFailed,
        Self::SignedOut,
        Self::PasswordChosen,
        Self::PasswordLinkAsked,
        Self::PersonInvited,
        Self::PersonDisabled,
        Self::PersonEnabled,
        Self::SessionClosed,
        Self::ContactAddressChanged,
        Self::ContactAddressConfirmed,
        Self::StructureEdited,
        Self::MemberInvited,
        Self::InvitationSentAgain,
        Self::MembershipChanged,
        Self::MembershipRemoved,
        Self::MembershipLeft,
        Self::MembershipRequested,
        Self::MembershipRequestAccepted,
        Self::MembershipRequestRefused,
        Self::MembershipRequestWithdrawn,
        Self::SuccessionOffered,
        Self::SuccessionDeclined,
        Self::SuccessionWithdrawn,
        Self::ManagerChanged,
        Self::TechnicalUserCreated,
        Self::LabelChanged,
        Self::PasswordShown,
        Self::PasswordExported,
        Self::PasswordReset,
        Self::FormerPasswordEnded,
        Self::PasswordExpiredEarly,
        Self::HandoverMade,
        Self::HandoverOpened,
        Self::HandoverRefused,
        Self::HandoverRevoked,
        Self::TechnicalUserSuspended,
        Self::TechnicalUserReactivated,
        Self::TechnicalUserDeleted,
        Self::RestrictionsChanged,
        Self::NetworkLocked,
        Self::BatchBegun,
        Self::BatchFinished,
        Self::ActRefused,
        Self::CalendarLinkMade,
        Self::CalendarLinkRevoked,
        Self::CallsRefused,
        Self::IdentityConfirmed,
        Self::IdentityNotConfirmed,
        Self::IdentityLinked,
        Self::IdentityUnlinked,
        Self::SecondFactorEnabled,
        Self::SecondFactorDisabled,
        Self::SecondFactorReset,
        Self::RecoveryCodesRenewed,
        Self::RecoveryCodeUsed,
        Self::ServiceAdded,
        Self::ServiceSecretRotated,
        Self::ServiceDisabled,
        Self::ServiceEnabled,
        Self::ServiceRemoved,
        Self::SigningKeysMade,
        Self::SigningKeysRotated,
        Self::SigningKeysReplaced,
    ];

    /// The actions that a structure's history can contain, by label. The others concern a person.
    pub const OF_STRUCTURES: [Self; 33] = [
        Self::MembershipRequestAccepted,
        Self::PasswordShown,
        Self::MembershipRequestWithdrawn,
        Self::SuccessionWithdrawn,
        Self::CallsRefused,
        Self::ManagerChanged,
        Self::TechnicalUserCreated,
        Self::MembershipRequested,
        Self::MembershipLeft,
        Self::PasswordExpiredEarly,
        Self::PasswordExported,
        Self::MemberInvited,
        Self::HandoverRefused,
        Self::MembershipChanged,
        Self::ContactAddressChanged,
        Self::StructureEdited,
        Self::RestrictionsChanged,
        Self::LabelChanged,
        Self::InvitationSentAgain,
        Self::ActRefused,
        Self::HandoverOpened,
        Self::SuccessionOffered,
        Self::TechnicalUserReactivated,
        Self::MembershipRequestRefused,
        Self::SuccessionDeclined,
        Self::PasswordReset,
        Self::HandoverMade,
        Self::MembershipRemoved,
        Self::HandoverRevoked,
        Self::TechnicalUserDeleted,
        Self::FormerPasswordEnded,
        Self::TechnicalUserSuspended,
        Self::NetworkLocked,
    ];

    /// The code in the database.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::SignedIn => "SIGNED_IN",
            Self::SignInFailed => "SIGN_IN_FAILED",
            Self::SignedOut => "SIGNED_OUT",
            Self::PasswordChosen => "PASSWORD_CHOSEN",
            Self::PasswordLinkAsked => "PASSWORD_LINK_ASKED",
            Self::PersonInvited => "PERSON_INVITED",
            Self::PersonDisabled => "PERSON_DISABLED",
            Self::PersonEnabled => "PERSON_ENABLED",
            Self::SessionClosed => "SESSION_CLOSED",
            Self::ContactAddressChanged => "CONTACT_ADDRESS_CHANGED",
            Self::ContactAddressConfirmed => "CONTACT_ADDRESS_CONFIRMED",
            Self::StructureEdited => "STRUCTURE_EDITED",
            Self::MemberInvited => "MEMBER_INVITED",
            Self::InvitationSentAgain => "INVITATION_SENT_AGAIN",
            Self::MembershipChanged => "MEMBERSHIP_CHANGED",
            Self::MembershipRemoved => "MEMBERSHIP_REMOVED",
            Self::MembershipLeft => "MEMBERSHIP_LEFT",
            Self::MembershipRequested => "MEMBERSHIP_REQUESTED",
            Self::MembershipRequestAccepted => "MEMBERSHIP_REQUEST_ACCEPTED",
            Self::MembershipRequestRefused => "MEMBERSHIP_REQUEST_REFUSED",
            Self::MembershipRequestWithdrawn => "MEMBERSHIP_REQUEST_WITHDRAWN",
            Self::SuccessionOffered => "SUCCESSION_OFFERED",
            Self::SuccessionDeclined => "SUCCESSION_DECLINED",
            Self::SuccessionWithdrawn => "SUCCESSION_WITHDRAWN",
            Self::ManagerChanged => "MANAGER_CHANGED",
            Self::TechnicalUserCreated => "TECHNICAL_USER_CREATED",
            Self::LabelChanged => "TECHNICAL_USER_LABEL_CHANGED",
            Self::PasswordShown => "PASSWORD_SHOWN",
            Self::PasswordExported => "PASSWORD_EXPORTED",
            Self::PasswordReset => "PASSWORD_RESET",
            Self::FormerPasswordEnded => "FORMER_PASSWORD_ENDED",
            Self::PasswordExpiredEarly => "PASSWORD_EXPIRED_EARLY",
            Self::HandoverMade => "HANDOVER_MADE",
            Self::HandoverOpened => "HANDOVER_OPENED",
            Self::HandoverRefused => "HANDOVER_REFUSED",
            Self::HandoverRevoked => "HANDOVER_REVOKED",
            Self::TechnicalUserSuspended => "TECHNICAL_USER_SUSPENDED",
            Self::TechnicalUserReactivated => "TECHNICAL_USER_REACTIVATED",
            Self::TechnicalUserDeleted => "TECHNICAL_USER_DELETED",
            Self::RestrictionsChanged => "RESTRICTIONS_CHANGED",
            Self::NetworkLocked => "NETWORK_LOCKED",
            Self::BatchBegun => "BATCH_BEGUN",
            Self::BatchFinished => "BATCH_FINISHED",
            Self::ActRefused => "ACT_REFUSED",
            Self::CalendarLinkMade => "CALENDAR_LINK_MADE",
            Self::CalendarLinkRevoked => "CALENDAR_LINK_REVOKED",
            Self::CallsRefused => "CALLS_REFUSED",
            Self::IdentityConfirmed => "IDENTITY_CONFIRMED",
            Self::IdentityNotConfirmed => "IDENTITY_NOT_CONFIRMED",
            Self::IdentityLinked => "IDENTITY_LINKED",
            Self::IdentityUnlinked => "IDENTITY_UNLINKED",
            Self::SecondFactorEnabled => "SECOND_FACTOR_ENABLED",
            Self::SecondFactorDisabled => "SECOND_FACTOR_DISABLED",
            Self::SecondFactorReset => "SECOND_FACTOR_RESET",
            Self::RecoveryCodesRenewed => "RECOVERY_CODES_RENEWED",
            Self::RecoveryCodeUsed => "RECOVERY_CODE_USED",
            Self::ServiceAdded => "SERVICE_ADDED",
            Self::ServiceSecretRotated => "SERVICE_SECRET_ROTATED",
            Self::ServiceDisabled => "SERVICE_DISABLED",
            Self::ServiceEnabled => "SERVICE_ENABLED",
            Self::ServiceRemoved => "SERVICE_REMOVED",
            Self::SigningKeysMade => "SIGNING_KEYS_MADE",
            Self::SigningKeysRotated => "SIGNING_KEYS_ROTATED",
            Self::SigningKeysReplaced => "SIGNING_KEYS_REPLACED",
        }
    }

    /// The label in « Historique ».
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::SignedIn => "Connexion au portail",
            Self::SignInFailed => "Échec de connexion au portail",
            Self::SignedOut => "Déconnexion du portail",
            Self::PasswordChosen => "Choix d’un mot de passe personnel",
            Self::PasswordLinkAsked => "Demande d’un lien pour choisir un mot de passe",
            Self::PersonInvited => "Invitation d’une personne",
            Self::PersonDisabled => "Désactivation d’une personne",
            Self::PersonEnabled => "Réactivation d’une personne",
            Self::SessionClosed => "Fermeture d’une session",
            Self::ContactAddressChanged => "Modification de l’adresse de contact",
            Self::ContactAddressConfirmed => "Confirmation de l’adresse de contact",
            Self::StructureEdited => "Modification de la fiche structure",
            Self::MemberInvited => "Invitation à rejoindre la structure",
            Self::InvitationSentAgain => "Nouvel envoi d’une invitation",
            Self::MembershipChanged => "Modification d’un rattachement",
            Self::MembershipRemoved => "Retrait d’un rattachement",
            Self::MembershipLeft => "Départ de la structure",
            Self::MembershipRequested => "Demande de rattachement",
            Self::MembershipRequestAccepted => "Acceptation d’une demande de rattachement",
            Self::MembershipRequestRefused => "Refus d’une demande de rattachement",
            Self::MembershipRequestWithdrawn => "Annulation d’une demande de rattachement",
            Self::SuccessionOffered => "Proposition de désignation",
            Self::SuccessionDeclined => "Refus d’une proposition de désignation",
            Self::SuccessionWithdrawn => "Annulation d’une proposition de désignation",
            Self::ManagerChanged => "Changement de gestionnaire principal",
            Self::TechnicalUserCreated => "Création d’un utilisateur technique",
            Self::LabelChanged => "Modification du libellé",
            Self::PasswordShown => "Affichage du mot de passe",
            Self::PasswordExported => "Export des informations de connexion",
            Self::PasswordReset => "Réinitialisation du mot de passe",
            Self::FormerPasswordEnded => "Suppression de l’ancien mot de passe",
            Self::PasswordExpiredEarly => "Expiration anticipée du mot de passe",
            Self::HandoverMade => "Remise à un intégrateur",
            Self::HandoverOpened => "Ouverture d’un lien de remise",
            Self::HandoverRefused => "Lien de remise refusé",
            Self::HandoverRevoked => "Révocation d’un lien de remise",
            Self::TechnicalUserSuspended => "Suspension d’un utilisateur technique",
            Self::TechnicalUserReactivated => "Réactivation d’un utilisateur technique",
            Self::TechnicalUserDeleted => "Suppression d’un utilisateur technique",
            Self::RestrictionsChanged => "Modification des restrictions d’un utilisateur technique",
            Self::NetworkLocked => "Verrouillage sur la première adresse",
            Self::BatchBegun => "Lancement d’un lot",
            Self::BatchFinished => "Fin d’un lot",
            Self::ActRefused => "Opération refusée",
            Self::CalendarLinkMade => "Création d’un lien de calendrier",
            Self::CalendarLinkRevoked => "Révocation du lien de calendrier",
            Self::CallsRefused => "Appels refusés",
            Self::IdentityConfirmed => "Confirmation de l’identité",
            Self::IdentityNotConfirmed => "Échec de confirmation de l’identité",
            Self::IdentityLinked => "Association d’un compte du fournisseur d’identité",
            Self::IdentityUnlinked => "Dissociation d’un compte du fournisseur d’identité",
            Self::SecondFactorEnabled => "Activation de la double authentification",
            Self::SecondFactorDisabled => "Désactivation de la double authentification",
            Self::SecondFactorReset => "Réinitialisation de la double authentification",
            Self::RecoveryCodesRenewed => "Création de nouveaux codes de secours",
            Self::RecoveryCodeUsed => "Utilisation d’un code de secours",
            Self::ServiceAdded => "Ajout d’un service",
            Self::ServiceSecretRotated => "Remplacement du secret d’un service",
            Self::ServiceDisabled => "Désactivation d’un service",
            Self::ServiceEnabled => "Réactivation d’un service",
            Self::ServiceRemoved => "Retrait d’un service",
            Self::SigningKeysMade => "Création des clés de signature",
            Self::SigningKeysRotated => "Rotation des clés de signature",
            Self::SigningKeysReplaced => "Remplacement des clés de signature",
        }
    }

    /// The action of a code in the database.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.code() == code)
    }
}

/// Who makes calls that are refused, in the history: whoever presented a login is not its account.
pub const UNIDENTIFIED_CALLER: &str = "appelant non identifié";

/// Who opens a link by which a password is handed over, in the history.
pub const LINK_HOLDER: &str = "porteur du lien de remise";

/// What the history calls the refused acts of a person beyond the kinds that it lists one by one.
pub const OTHER_ACTS: &str = "d’autres opérations";

/// Why calls to the API were refused: shown in the history, never to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallRefusal {
    WrongPassword,
    Expired,
    Suspended,
    Deleted,
    /// The structure is inactive or has no principal manager, hence gives no rights.
    WithoutAuthority,
    /// The address is in none of the account's networks.
    OutsideNetworks,
    /// A service that was shown the password did not say whose call it was, and the account takes
    /// calls from some networks only.
    UntoldAddress,
}

impl CallRefusal {
    /// Every reason.
    pub const ALL: [Self; 7] = [
        Self::WrongPassword,
        Self::Expired,
        Self::Suspended,
        Self::Deleted,
        Self::WithoutAuthority,
        Self::OutsideNetworks,
        Self::UntoldAddress,
    ];

    /// The code in the database.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::WrongPassword => "WRONG_PASSWORD",
            Self::Expired => "EXPIRED",
            Self::Suspended => "SUSPENDED",
            Self::Deleted => "DELETED",
            Self::WithoutAuthority => "WITHOUT_AUTHORITY",
            Self::OutsideNetworks => "OUTSIDE_NETWORKS",
            Self::UntoldAddress => "UNTOLD_ADDRESS",
        }
    }

    /// The reason of a code in the database.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|why| why.code() == code)
    }

    /// Whether the credential was right, and the address alone was not.
    #[must_use]
    pub fn is_about_networks(self) -> bool {
        matches!(self, Self::OutsideNetworks | Self::UntoldAddress)
    }

    /// « mot de passe incorrect ».
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::WrongPassword => "mot de passe incorrect",
            Self::Expired => "mot de passe expiré",
            Self::Suspended => "compte suspendu",
            Self::Deleted => "compte supprimé",
            Self::WithoutAuthority => "structure inactive ou sans gestionnaire principal",
            Self::OutsideNetworks => "adresse hors des réseaux autorisés",
            Self::UntoldAddress => "adresse de l’appelant non transmise par le service",
        }
    }

    /// « 3 appels : mot de passe incorrect ».
    #[must_use]
    pub fn counted(self, count: i32) -> String {
        format!("{count} appel{}\u{a0}: {}", if count > 1 { "s" } else { "" }, self.words())
    }

    /// « 3 appels : mot de passe incorrect, par le logiciel « Odoo 17 » ». The name may be empty.
    #[must_use]
    pub fn counted_by(self, count: i32, software: &str) -> String {
        match software {
            "" => self.counted(count),
            software => format!("{}, par le logiciel «\u{202f}{software}\u{202f}»", self.counted(count)),
        }
    }
}

/// Who performs an operation, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// `None` for an unknown person and for the operator's commands.
    pub user_id: Option<i64>,
    /// The name in the history: the person's login, or « opérateur », with the name that they gave.
    pub name: String,
    /// The client's network address, or « ligne de commande ».
    pub address: String,
}

impl Actor {
    /// A visitor who gave an unknown login. It is not stored: people often type a password there by
    /// mistake, and events are kept for good.
    #[must_use]
    pub fn unknown(address: String) -> Self {
        Self { user_id: None, name: "identifiant inconnu".into(), address }
    }

    /// The operator at the command line.
    #[must_use]
    pub fn operator() -> Self {
        Self { user_id: None, name: "opérateur".into(), address: "ligne de commande".into() }
    }

    /// An operator who gave their name: « opérateur (Zoé Petit) ».
    #[must_use]
    pub fn named_operator(name: &OperatorName) -> Self {
        Self { name: format!("opérateur ({})", name.as_str()), ..Self::operator() }
    }

    /// The portal itself, in its upkeep.
    #[must_use]
    pub fn portal() -> Self {
        Self { user_id: None, name: "Raccord".into(), address: "tâche automatique".into() }
    }

    /// Whoever has a link by which a password is handed over.
    #[must_use]
    pub fn link_holder(address: String) -> Self {
        Self { user_id: None, name: LINK_HOLDER.into(), address }
    }

    /// Two operators who answer for an act together: « opérateurs (Zoé Petit et Noa Martin) ».
    #[must_use]
    pub fn two_operators(one: &OperatorName, other: &OperatorName) -> Self {
        Self { name: format!("opérateurs ({} et {})", one.as_str(), other.as_str()), ..Self::operator() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_reads_back_and_every_label_is_its_own() {
        for action in Action::ALL {
            assert_eq!(Action::parse(action.code()), Some(action));
            assert_eq!(Action::ALL.into_iter().filter(|other| other.label() == action.label()).count(), 1);
        }
        assert_eq!(Action::parse("?"), None);
        for why in CallRefusal::ALL {
            assert_eq!(CallRefusal::parse(why.code()), Some(why));
        }
    }

    #[test]
    fn refused_calls_are_told_with_their_number_their_reason_and_their_software() {
        let why = CallRefusal::Expired;
        assert_eq!(why.counted_by(1, ""), "1 appel\u{a0}: mot de passe expiré");
        let told = "3 appels\u{a0}: mot de passe expiré, par le logiciel «\u{202f}Odoo 17\u{202f}»";
        assert_eq!(why.counted_by(3, "Odoo 17"), told);
    }

    #[test]
    fn a_list_of_acts_reads_in_the_order_of_the_alphabet() {
        let plain = |label: &str| label.replace('é', "e").replace('’', " ").to_lowercase();
        let labels: Vec<String> = Action::OF_STRUCTURES.into_iter().map(|action| plain(action.label())).collect();
        assert!(labels.is_sorted(), "{labels:#?}");
    }

    #[test]
    fn refused_calls_are_counted_in_words() {
        assert_eq!(CallRefusal::WrongPassword.counted(1), "1 appel\u{a0}: mot de passe incorrect");
        assert_eq!(CallRefusal::Expired.counted(2), "2 appels\u{a0}: mot de passe expiré");
        assert_eq!(CallRefusal::Suspended.counted(0), "0 appel\u{a0}: compte suspendu");
        assert_eq!(CallRefusal::Deleted.counted(30), "30 appels\u{a0}: compte supprimé");
        assert!(
            CallRefusal::WithoutAuthority.counted(1).ends_with("structure inactive ou sans gestionnaire principal")
        );
    }

    #[test]
    fn the_operator_is_no_person_of_the_portal() {
        let operator = Actor::operator();
        assert_eq!((operator.user_id, operator.name.as_str()), (None, "opérateur"));
        let [zoe, noa] = ["Zoé Petit", "Noa Martin"].map(|name| name.parse().unwrap());
        assert_eq!(Actor::named_operator(&zoe).name, "opérateur (Zoé Petit)");
        let both = Actor::two_operators(&zoe, &noa);
        assert_eq!((both.name.as_str(), both.address), ("opérateurs (Zoé Petit et Noa Martin)", operator.address));
    }
}
