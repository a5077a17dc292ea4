//! The rules of a Tapkey server, pure: a record, a request and the time give a decision.
//!
//! Nothing here reads a clock, draws randomness or touches a database. The server's store carries
//! the decisions out, each in one transaction; [`verify::Stored::apply`] is the model that its SQL
//! is tested against.
//!
//! | module | rule |
//! |---|---|
//! | [`verify`] | whether a password is acceptable, and which counter that spends |
//! | [`delay`] | whether a password seems to have been kept back before it was sent |
//! | [`enrol`] | how a credential becomes active |
//! | [`import`] | what becomes of a record of a station's bundle |
//! | [`policy`] | which keys a server takes |
//! | [`role`] | who may do what |
//! | [`audit`] | what is written down |
//! | [`name`] | what names may look like |
//! | [`id`] | how records are numbered |

pub mod audit;
pub mod delay;
pub mod enrol;
pub mod id;
pub mod import;
pub mod name;
pub mod policy;
pub mod role;
pub mod verify;

pub use policy::EMULATED_SERIALS;

/// A moment: milliseconds since 1970, UTC.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Moment(u64);

impl Moment {
    /// From milliseconds since 1970.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// This many milliseconds later.
    #[must_use]
    pub const fn plus_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to this moment; 0 where the clock went backwards.
    #[must_use]
    pub const fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}
