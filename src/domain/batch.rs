//! Batches: one act on many structures or accounts, that one form asks for.

use serde::{Deserialize, Serialize};

/// The most structures or accounts of a batch.
pub const MOST_ITEMS: usize = 1_000;

/// What a batch does with each of its structures or accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchAct {
    /// Creates a technical user in the structure.
    Create,
    /// Gives the account a new password.
    ResetPassword,
    Suspend,
    Reactivate,
}

impl BatchAct {
    /// Every act.
    pub const ALL: [Self; 4] = [Self::Create, Self::ResetPassword, Self::Suspend, Self::Reactivate];

    /// The code in forms and in the database.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::ResetPassword => "RESET",
            Self::Suspend => "SUSPEND",
            Self::Reactivate => "REACTIVATE",
        }
    }

    /// Reads the code.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|act| act.code() == code)
    }

    /// Whether it makes passwords, which the récapitulatif groupé exports.
    #[must_use]
    pub fn issues_passwords(self) -> bool {
        matches!(self, Self::Create | Self::ResetPassword)
    }
}

/// Why a batch left one of its structures or accounts as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemRefusal {
    /// The person is no longer the structure's principal manager.
    NotManager,
    StructureInactive,
    LimitReached,
    LabelTaken,
    Deleted,
    /// The password is another than when the batch was confirmed.
    ResetMeanwhile,
    /// The account has the wanted status already.
    Unchanged,
    /// The session ended before its turn: its password could not have been exported.
    SessionEnded,
}

impl ItemRefusal {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::NotManager,
        Self::StructureInactive,
        Self::LimitReached,
        Self::LabelTaken,
        Self::Deleted,
        Self::ResetMeanwhile,
        Self::Unchanged,
        Self::SessionEnded,
    ];

    /// The code in the database.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::NotManager => "NOT_MANAGER",
            Self::StructureInactive => "STRUCTURE_INACTIVE",
            Self::LimitReached => "LIMIT_REACHED",
            Self::LabelTaken => "LABEL_TAKEN",
            Self::Deleted => "DELETED",
            Self::ResetMeanwhile => "RESET_MEANWHILE",
            Self::Unchanged => "UNCHANGED",
            Self::SessionEnded => "SESSION_ENDED",
        }
    }

    /// Reads the code.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|refusal| refusal.code() == code)
    }

    /// The reason, as the pages say it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::NotManager => "Vous n’êtes plus gestionnaire principal de la structure.",
            Self::StructureInactive => "La structure est inactive.",
            Self::LimitReached => "La structure a déjà le nombre maximal d’utilisateurs techniques.",
            Self::LabelTaken => "Un utilisateur technique de la structure porte déjà ce libellé.",
            Self::Deleted => "Le compte a été supprimé.",
            Self::ResetMeanwhile => "Le mot de passe a été réinitialisé entre-temps.",
            Self::Unchanged => "Le compte a déjà ce statut.",
            Self::SessionEnded => "La session a pris fin avant le tour de ce compte\u{a0}: rien n’a été changé.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_reads_back() {
        assert!(BatchAct::ALL.into_iter().all(|act| BatchAct::parse(act.code()) == Some(act)));
        assert!(ItemRefusal::ALL.into_iter().all(|refusal| ItemRefusal::parse(refusal.code()) == Some(refusal)));
        assert_eq!((BatchAct::parse(""), ItemRefusal::parse("create")), (None, None));
    }
}
