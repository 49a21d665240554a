//! The roles of a member of a structure (rule 2).

/// The role of a membership (« rattachement »).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// « Gestionnaire principal »: exactly one in an active, managed structure.
    PrincipalManager,
    /// « Gestionnaire secondaire ».
    SecondaryManager,
    /// « Utilisateur ».
    User,
}

impl Role {
    /// Every role, the one with most rights first.
    pub const ALL: [Self; 3] = [Self::PrincipalManager, Self::SecondaryManager, Self::User];

    /// The code in the database.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::PrincipalManager => "PRINCIPAL_MANAGER",
            Self::SecondaryManager => "SECONDARY_MANAGER",
            Self::User => "USER",
        }
    }

    /// The code in import files and in the API.
    #[must_use]
    pub fn external_code(self) -> &'static str {
        match self {
            Self::PrincipalManager => "GESTIONNAIRE_PRINCIPAL",
            Self::SecondaryManager => "GESTIONNAIRE_SECONDAIRE",
            Self::User => "UTILISATEUR",
        }
    }

    /// The label on screens.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::PrincipalManager => "Gestionnaire principal",
            Self::SecondaryManager => "Gestionnaire secondaire",
            Self::User => "Utilisateur",
        }
    }

    /// The detail of a change in the history: « Utilisateur → Gestionnaire secondaire ».
    #[must_use]
    pub fn changed_to(self, after: Self) -> String {
        format!("{} → {}", self.label(), after.label())
    }

    /// Reads a code of the database or of the import files.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.code() == code || role.external_code() == code)
    }

    /// Reads the code of a role that a principal manager may give to others: any role but principal
    /// manager, which only a succession gives.
    #[must_use]
    pub fn given(code: &str) -> Option<Self> {
        Self::parse(code).filter(|role| *role != Self::PrincipalManager)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_reads_back() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.code()), Some(role));
            assert_eq!(Role::parse(role.external_code()), Some(role));
        }
        assert_eq!(Role::parse("ADMIN"), None);
        assert_eq!(Role::given("PRINCIPAL_MANAGER").or(Role::given("ADMIN")), None);
        assert_eq!(Role::given("USER"), Some(Role::User));
    }

    #[test]
    fn each_word_is_one_roles_own() {
        let words = |word: fn(Role) -> &'static str| Role::ALL.map(word);
        for words in [words(Role::code), words(Role::external_code), words(Role::label)] {
            assert!(words[0] != words[1] && words[1] != words[2] && words[0] != words[2], "{words:?}");
        }
        assert_eq!(Role::ALL.map(Role::label), ["Gestionnaire principal", "Gestionnaire secondaire", "Utilisateur"]);
        for code in ["", "user", "Utilisateur", "GESTIONNAIRE_PRINCIPAL ", "GESTIONNAIRE"] {
            assert_eq!(Role::parse(code), None, "{code}");
        }
        assert_eq!(Role::given("GESTIONNAIRE_PRINCIPAL"), None);
        assert_eq!(Role::given("GESTIONNAIRE_SECONDAIRE"), Some(Role::SecondaryManager));
    }
}
