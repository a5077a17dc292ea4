use tapkey_protocol::otp::{AesKey, PrivateId, Token};

use super::*;

const CREATOR: Caller = Caller { token: TokenId::new(1), admin: false };
const OTHER: Caller = Caller { token: TokenId::new(2), admin: false };
const ADMIN: Caller = Caller { token: TokenId::new(3), admin: true };
const HASH: [u8; 32] = [5; 32];
const EXPIRY: Moment = Moment::from_millis(1000);
const BEFORE: Moment = Moment::from_millis(999);

fn secret() -> Secret {
    Secret { private_id: PrivateId::new([1; 6]), aes_key: AesKey::new([2; 16]) }
}

fn enrolment(state: State) -> Enrolment {
    Enrolment {
        state,
        creator: CREATOR.token,
        public_id: "vvccccbdefgh".parse().unwrap(),
        expires_at: EXPIRY,
    }
}

fn otp(secret: &Secret, session: u8) -> Otp {
    let token = Token {
        private_id: secret.private_id.clone(),
        use_counter_raw: 1,
        timestamp: Timestamp::new(4),
        session_counter: session,
        random: 0,
    };
    Otp::new(enrolment(State::Pending).public_id, token.seal(&secret.aes_key))
}

fn confirm(state: State, caller: Caller, now: Moment) -> Result<Confirmation, EnrolError> {
    enrolment(state).confirm(caller, &otp(&secret(), 3), HASH, Some(&secret()), None, now)
}

#[test]
fn a_password_of_the_credential_activates_it_and_is_spent() {
    let counter = Counter::from_value(0x103).unwrap();
    let activate = Confirmation::Activate { counter, timestamp: Timestamp::new(4), confirmed_by: HASH };
    assert_eq!(confirm(State::Pending, CREATOR, BEFORE), Ok(activate));
    assert_eq!(confirm(State::Pending, ADMIN, BEFORE), Ok(activate));
}

#[test]
fn every_other_state_and_caller() {
    let same = State::Active { confirmed_by: HASH };
    let other = State::Active { confirmed_by: [6; 32] };
    let cases = [
        (State::Pending, OTHER, BEFORE, Err(EnrolError::NotFound)),
        (State::Pending, CREATOR, EXPIRY, Err(EnrolError::Expired)),
        (State::Expired, CREATOR, BEFORE, Err(EnrolError::Expired)),
        (State::Abandoned, CREATOR, BEFORE, Err(EnrolError::Abandoned)),
        (same, CREATOR, BEFORE, Ok(Confirmation::AlreadyActive)),
        (same, CREATOR, EXPIRY, Ok(Confirmation::AlreadyActive)),
        (same, OTHER, BEFORE, Err(EnrolError::NotFound)),
        (other, CREATOR, BEFORE, Err(EnrolError::Confirmed)),
        (other, ADMIN, EXPIRY, Err(EnrolError::Confirmed)),
    ];
    for (state, caller, now, expected) in cases {
        assert_eq!(confirm(state, caller, now), expected, "{state:?} {caller:?} {now:?}");
    }
}

#[test]
fn foreign_passwords() {
    let pending = enrolment(State::Pending);
    let attempt = |otp: &Otp, secret: Option<&Secret>, floor| {
        pending.confirm(CREATOR, otp, HASH, secret, floor, BEFORE).unwrap_err()
    };
    let own = otp(&secret(), 3);
    let elsewhere = Otp::new(PublicId::EMPTY, *own.block());
    assert_eq!(attempt(&elsewhere, Some(&secret()), None), EnrolError::OtherPublicId);
    let other_key = Secret { aes_key: AesKey::new([3; 16]), ..secret() };
    assert_eq!(attempt(&otp(&other_key, 3), Some(&secret()), None), EnrolError::BadOtp);
    let other_id = Secret { private_id: PrivateId::new([3; 6]), ..secret() };
    assert_eq!(attempt(&otp(&other_id, 3), Some(&secret()), None), EnrolError::BadOtp);
    assert_eq!(attempt(&own, None, None), EnrolError::BadOtp);
    for floor in [0x103, 0x104] {
        assert_eq!(attempt(&own, Some(&secret()), Counter::from_value(floor)), EnrolError::ReplayedOtp);
    }
    assert!(
        pending.confirm(CREATOR, &own, HASH, Some(&secret()), Counter::from_value(0x102), BEFORE).is_ok()
    );
}

#[test]
fn secrets_go_to_their_creator_while_pending() {
    let active = State::Active { confirmed_by: HASH };
    let cases = [
        (State::Pending, CREATOR, BEFORE, Ok(())),
        (State::Pending, CREATOR, EXPIRY, Err(EnrolError::Expired)),
        (State::Pending, OTHER, BEFORE, Err(EnrolError::NotFound)),
        (State::Pending, ADMIN, BEFORE, Err(EnrolError::NotFound)),
        (active, CREATOR, BEFORE, Err(EnrolError::Confirmed)),
        (State::Abandoned, CREATOR, BEFORE, Err(EnrolError::Abandoned)),
        (State::Expired, CREATOR, BEFORE, Err(EnrolError::Expired)),
    ];
    for (state, caller, now, expected) in cases {
        assert_eq!(enrolment(state).deliver(caller, now), expected, "{state:?} {caller:?}");
    }
}

#[test]
fn abandoning() {
    let active = State::Active { confirmed_by: HASH };
    let cases = [
        (State::Pending, CREATOR, Ok(true)),
        (State::Pending, ADMIN, Ok(true)),
        (State::Pending, OTHER, Err(EnrolError::NotFound)),
        (State::Abandoned, CREATOR, Ok(false)),
        (State::Expired, CREATOR, Ok(false)),
        (active, CREATOR, Err(EnrolError::Confirmed)),
        (active, ADMIN, Err(EnrolError::Confirmed)),
    ];
    for (state, caller, expected) in cases {
        assert_eq!(enrolment(state).abandon(caller), expected, "{state:?} {caller:?}");
    }
}
