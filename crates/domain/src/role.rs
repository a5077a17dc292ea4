//! Who may do what.

/// What a bearer token may do.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Role {
    /// Everything.
    Admin,
    /// Create, confirm and abandon its own enrolments.
    Enroller,
    /// Verify passwords for accounts.
    Application,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Admin, Self::Enroller, Self::Application];

    /// As it stands in a store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Enroller => "enroller",
            Self::Application => "application",
        }
    }

    /// From a store.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }

    /// Whether this role may do that.
    #[must_use]
    pub const fn may(self, operation: Operation) -> bool {
        match self {
            Self::Admin => true,
            Self::Enroller => matches!(operation, Operation::Enrol | Operation::ReadStatus),
            Self::Application => matches!(operation, Operation::Verify | Operation::ReadStatus),
        }
    }
}

/// What can be done through the interface, as far as roles tell it apart.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Operation {
    /// Create, read, confirm, abandon enrolments.
    Enrol,
    /// Verify a password for an account.
    Verify,
    /// Create, read, change, delete accounts.
    ManageAccounts,
    /// Read, change, delete keys.
    ManageKeys,
    /// Read a slot's access code.
    ReadAccessCode,
    /// Create, read, change, delete clients of the validation protocol.
    ManageClients,
    /// Create, read, revoke tokens.
    ManageTokens,
    /// Read the audit events.
    ReadAudit,
    /// Read what the server is.
    ReadStatus,
    /// Import the keys of a station's bundle.
    Import,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 10] = [
        Self::Enrol,
        Self::Verify,
        Self::ManageAccounts,
        Self::ManageKeys,
        Self::ReadAccessCode,
        Self::ManageClients,
        Self::ManageTokens,
        Self::ReadAudit,
        Self::ReadStatus,
        Self::Import,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for role in Role::ALL {
            assert_eq!(Role::from_name(role.as_str()), Some(role));
        }
        assert_eq!(Role::from_name("Admin"), None);
    }

    #[test]
    fn each_role_does_its_own() {
        use Operation as O;
        for operation in Operation::ALL {
            assert!(Role::Admin.may(operation));
            assert_eq!(Role::Enroller.may(operation), matches!(operation, O::Enrol | O::ReadStatus));
            assert_eq!(Role::Application.may(operation), matches!(operation, O::Verify | O::ReadStatus));
        }
    }
}
