//! What becomes of a record of a provisioning station's bundle.
//!
//! A record never lowers a counter, never takes a public id from another credential, and never
//! brings back what was deleted. It becomes a pending credential, which a fresh password of its key
//! activates like any other; only where an administrator trusts the station does the password that
//! was typed there count, and then it is spent with everything older.

use tapkey_protocol::otp::{Counter, Otp, PublicId, Timestamp};
use thiserror::Error;

use crate::verify::Secret;

/// A password that was typed at the station, opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Proof {
    /// Its counters.
    pub counter: Counter,
    /// The key's clock.
    pub timestamp: Timestamp,
    /// SHA-256 of the password.
    pub otp_hash: [u8; 32],
}

/// Opens a password that a station recorded.
///
/// # Errors
/// It is not of this credential, or the station told other counters.
pub fn prove(
    otp: &Otp,
    otp_hash: [u8; 32],
    public_id: PublicId,
    secret: &Secret,
    told: Option<(u16, u8)>,
) -> Result<Proof, ImportError> {
    if otp.public_id() != public_id {
        return Err(ImportError::ForeignProof);
    }
    let token = secret.open(otp).ok_or(ImportError::ForeignProof)?;
    let counter = token.counter();
    if told.is_some_and(|told| told != (counter.use_counter(), counter.session_counter())) {
        return Err(ImportError::OtherCounters);
    }
    Ok(Proof { counter, timestamp: token.timestamp, otp_hash })
}

/// What the store knows about a record.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// Whether a record of this id was imported before, and what is left of it.
    pub before: Before,
    /// Whether another credential, or a pending enrolment of another record, has the public id.
    pub public_id_taken: bool,
    /// How far the counters of this very secret went before it was deleted.
    pub high_water_mark: Option<Counter>,
    /// The account.
    pub account: Account,
}

/// What is left of an earlier import of a record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Before {
    /// There was none.
    Never,
    /// Its credential is there and waits for a password.
    Pending,
    /// Its credential is there and was activated.
    Active,
    /// Its credential was deleted or abandoned.
    Gone,
    /// There was one of this id with other content.
    Differs,
}

/// The account of a record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Account {
    /// It is there and enabled.
    Enabled,
    /// It is disabled.
    Disabled,
    /// There is none, and none is to be made.
    Missing,
    /// There is none, and it is to be made.
    ToBeMade,
}

/// What to do with a record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Decision {
    /// It was imported before. Where it still waits for a password, those up to `floor` never
    /// activate it.
    AlreadyImported {
        /// The newest counters that are spent.
        floor: Option<Counter>,
    },
    /// It was imported before and waits for a password: make it active with these counters spent.
    Activate(Proof),
    /// Nothing: it was imported before, and is gone.
    Gone,
    /// Make it a pending credential. Passwords up to `floor` never activate it.
    Pending {
        /// The newest counters that are spent.
        floor: Option<Counter>,
    },
    /// Make it an active credential with these counters spent.
    Active(Proof),
}

impl Known {
    /// What to do with a record whose password at the station was `proof`, if it typed one.
    ///
    /// # Errors
    /// It cannot be imported.
    pub fn decide(&self, proof: Option<Proof>, trust_station: bool) -> Result<Decision, ImportError> {
        let floor = self.high_water_mark.max(proof.map(|proof| proof.counter));
        // A password that is not newer than what was accepted here before proves nothing.
        let believed = proof.filter(|proof| trust_station && self.high_water_mark < Some(proof.counter));
        match self.before {
            Before::Never => {
                self.check_account()?;
                if self.public_id_taken {
                    return Err(ImportError::PublicIdTaken);
                }
                Ok(believed.map_or(Decision::Pending { floor }, Decision::Active))
            }
            Before::Pending => match believed {
                Some(proof) => self.check_account().map(|()| Decision::Activate(proof)),
                None => Ok(Decision::AlreadyImported { floor }),
            },
            Before::Active => Ok(Decision::AlreadyImported { floor: None }),
            Before::Gone => Ok(Decision::Gone),
            Before::Differs => Err(ImportError::RecordDiffers),
        }
    }

    const fn check_account(&self) -> Result<(), ImportError> {
        match self.account {
            Account::Enabled | Account::ToBeMade => Ok(()),
            Account::Disabled => Err(ImportError::AccountDisabled),
            Account::Missing => Err(ImportError::AccountMissing),
        }
    }
}

/// Why a record cannot be imported.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ImportError {
    /// The id of the record belongs to another one.
    #[error("a record with this id and other content was imported before")]
    RecordDiffers,
    /// The public id belongs to another credential.
    #[error(
        "another key has this public id; delete that one first if it is the same key, or program this one anew"
    )]
    PublicIdTaken,
    /// There is no such account.
    #[error("there is no such account; create it, or let the import create accounts")]
    AccountMissing,
    /// The account is disabled.
    #[error("the account is disabled; enable it first")]
    AccountDisabled,
    /// The recorded password is not of this credential.
    #[error("the password that was typed at the station is not of this credential; program the key anew")]
    ForeignProof,
    /// The station told other counters than are inside the password.
    #[error("the counters that the station told are not those inside the password; the record was changed")]
    OtherCounters,
}

#[cfg(test)]
mod tests {
    use tapkey_protocol::otp::{AesKey, PrivateId, Token, UseCounter};

    use super::*;

    const FRESH: Known = Known {
        before: Before::Never,
        public_id_taken: false,
        high_water_mark: None,
        account: Account::Enabled,
    };

    fn counter(uses: u16) -> Counter {
        Counter::new(UseCounter::from_raw(uses), 0)
    }

    fn proof(uses: u16) -> Proof {
        Proof { counter: counter(uses), timestamp: Timestamp::new(0), otp_hash: [0; 32] }
    }

    #[test]
    fn only_a_trusted_station_activates_and_only_what_typed() {
        assert_eq!(FRESH.decide(None, false), Ok(Decision::Pending { floor: None }));
        assert_eq!(FRESH.decide(None, true), Ok(Decision::Pending { floor: None }));
        let floor = Some(counter(1));
        assert_eq!(FRESH.decide(Some(proof(1)), false), Ok(Decision::Pending { floor }));
        assert_eq!(FRESH.decide(Some(proof(1)), true), Ok(Decision::Active(proof(1))));
    }

    #[test]
    fn counters_only_move_forward() {
        let known = Known { high_water_mark: Some(counter(5)), ..FRESH };
        for uses in [1, 5] {
            let floor = Some(counter(5));
            assert_eq!(known.decide(Some(proof(uses)), true), Ok(Decision::Pending { floor }), "{uses}");
        }
        assert_eq!(known.decide(None, true), Ok(Decision::Pending { floor: Some(counter(5)) }));
        assert_eq!(known.decide(Some(proof(6)), true), Ok(Decision::Active(proof(6))));
        let floor = Some(counter(6));
        assert_eq!(known.decide(Some(proof(6)), false), Ok(Decision::Pending { floor }));
    }

    #[test]
    fn what_was_imported_before_is_left_alone() {
        let already = Decision::AlreadyImported { floor: None };
        for (before, decision) in [(Before::Active, already), (Before::Gone, Decision::Gone)] {
            // Whatever else is wrong by now: its own credential has the public id.
            let known = Known { before, public_id_taken: true, account: Account::Disabled, ..FRESH };
            assert_eq!(known.decide(Some(proof(9)), true), Ok(decision));
        }
        let floor = Some(counter(9));
        let pending = Known { before: Before::Pending, public_id_taken: true, ..FRESH };
        assert_eq!(pending.decide(Some(proof(9)), false), Ok(Decision::AlreadyImported { floor }));
        assert_eq!(pending.decide(Some(proof(9)), true), Ok(Decision::Activate(proof(9))));
        let disabled = Known { account: Account::Disabled, ..pending };
        assert_eq!(disabled.decide(Some(proof(9)), true), Err(ImportError::AccountDisabled));
        let differs = Known { before: Before::Differs, ..FRESH };
        assert_eq!(differs.decide(None, false), Err(ImportError::RecordDiffers));
    }

    #[test]
    fn refusals() {
        let taken = Known { public_id_taken: true, ..FRESH };
        assert_eq!(taken.decide(None, true), Err(ImportError::PublicIdTaken));
        for (account, error) in [
            (Account::Missing, ImportError::AccountMissing),
            (Account::Disabled, ImportError::AccountDisabled),
        ] {
            assert_eq!(Known { account, ..FRESH }.decide(None, true), Err(error));
        }
        assert!(Known { account: Account::ToBeMade, ..FRESH }.decide(None, true).is_ok());
    }

    #[test]
    fn a_proof_is_opened_and_compared() {
        let public_id = PublicId::from_serial(7);
        let secret = Secret { private_id: PrivateId::new([1; 6]), aes_key: AesKey::new([2; 16]) };
        let token = Token {
            private_id: secret.private_id.clone(),
            use_counter_raw: 3,
            timestamp: Timestamp::new(9),
            session_counter: 4,
            random: 0,
        };
        let otp = Otp::new(public_id, token.seal(&secret.aes_key));
        let open = |public_id, secret: &Secret, told| prove(&otp, [0; 32], public_id, secret, told);
        for told in [None, Some((3, 4))] {
            assert_eq!(open(public_id, &secret, told).unwrap().counter.value(), 0x304);
        }
        assert_eq!(open(public_id, &secret, Some((3, 5))), Err(ImportError::OtherCounters));
        assert_eq!(open(PublicId::from_serial(8), &secret, None), Err(ImportError::ForeignProof));
        let other = Secret { private_id: PrivateId::new([9; 6]), ..secret };
        assert_eq!(open(public_id, &other, None), Err(ImportError::ForeignProof));
    }
}
