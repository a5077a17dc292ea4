//! What a server answers.

use super::{ApiKey, Nonce, Signature, Status};
use crate::otp::Token;

/// The answer to one request, before it is signed and written.
///
/// ```
/// use tapkey_protocol::validation::{Answer, ApiKey, Status, answer_time};
/// let answer = Answer::refusal(Status::NoSuchClient, answer_time(1_559_798_055_369));
/// let text = answer.to_text(&ApiKey::empty());
/// assert!(text.contains("\r\nt=2019-06-06T05:14:15Z0369\r\nstatus=NO_SUCH_CLIENT\r\n\r\n"));
/// ```
#[derive(Clone, Debug)]
pub struct Answer {
    status: Status,
    time: String,
    echo: Option<Echo>,
    sync_percent: Option<u8>,
    times: Option<TokenTimes>,
}

/// What an answer repeats of its request. Both come out of a well-formed request, so neither can
/// carry a line break.
#[derive(Clone, Debug)]
pub struct Echo {
    /// The password as the client spelled it.
    pub otp: String,
    /// The client's nonce.
    pub nonce: Nonce,
}

/// The token's clock and counters, for clients that ask for them.
#[derive(Clone, Copy, Debug)]
pub struct TokenTimes {
    /// The key's clock, 24 bits at about 8 Hz.
    pub timestamp: u32,
    /// The use counter, which the protocol calls session counter.
    pub session_counter: u16,
    /// The session counter, which the protocol calls session use.
    pub session_use: u8,
}

impl From<&Token> for TokenTimes {
    fn from(token: &Token) -> Self {
        Self {
            timestamp: token.timestamp.value(),
            session_counter: token.counter().use_counter(),
            session_use: token.session_counter,
        }
    }
}

impl Answer {
    /// An answer that repeats nothing of its request.
    #[must_use]
    pub const fn refusal(status: Status, time: String) -> Self {
        Self { status, time, echo: None, sync_percent: None, times: None }
    }

    /// An answer that repeats its request where its status allows that.
    #[must_use]
    pub fn new(status: Status, time: String, echo: Echo) -> Self {
        Self { echo: status.echoes().then_some(echo), ..Self::refusal(status, time) }
    }

    /// Says how many percent of the server's peers agreed: 0 on a single node. Replays do not say.
    #[must_use]
    pub fn with_sync_percent(mut self, percent: u8) -> Self {
        let replay = matches!(self.status, Status::ReplayedOtp | Status::ReplayedRequest);
        self.sync_percent = (self.echo.is_some() && !replay).then_some(percent);
        self
    }

    /// Adds the token's clock and counters, where the status is `OK`.
    #[must_use]
    pub fn with_times(mut self, times: TokenTimes) -> Self {
        self.times = (self.status == Status::Ok).then_some(times);
        self
    }

    /// The status.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// The body of the HTTP answer: lines ending in CR LF, an empty one last.
    #[must_use]
    pub fn to_text(&self, key: &ApiKey) -> String {
        let lines = self.lines();
        let mut signed: Vec<(&str, &str)> =
            lines.iter().map(|(name, value)| (*name, value.as_str())).collect();
        signed.sort_unstable_by_key(|(name, _)| *name);
        let bytes = signed.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let signature = Signature::over_sorted(key, bytes);
        let mut text = String::with_capacity(256);
        text.push_str("h=");
        text.push_str(&signature.to_string());
        text.push_str("\r\n");
        for (name, value) in &lines {
            text.push_str(name);
            text.push('=');
            text.push_str(value);
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        text
    }

    /// Every line but the signature, in the order of the reference server, which some clients expect.
    fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![("t", self.time.clone())];
        if let Some(echo) = &self.echo {
            lines.push(("otp", echo.otp.clone()));
            lines.push(("nonce", echo.nonce.to_string()));
        }
        if let Some(percent) = self.sync_percent {
            lines.push(("sl", percent.to_string()));
        }
        if let Some(times) = self.times {
            lines.push(("timestamp", times.timestamp.to_string()));
            lines.push(("sessioncounter", times.session_counter.to_string()));
            lines.push(("sessionuse", times.session_use.to_string()));
        }
        lines.push(("status", self.status.to_string()));
        lines
    }
}

/// The time as an answer writes it: UTC, a `Z`, a literal `0` and three digits of milliseconds.
///
/// `unix_milliseconds` counts from 1970.
#[must_use]
pub fn answer_time(unix_milliseconds: u64) -> String {
    let milliseconds = unix_milliseconds % 1000;
    let seconds = unix_milliseconds / 1000;
    let (year, month, day) = civil_date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z0{milliseconds:03}")
}

/// Year, month and day of a number of days since 1970, in the Gregorian calendar.
///
/// Counts in eras of 400 years whose years begin in March, so that the leap day comes last.
const fn civil_date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(answer_time(0), "1970-01-01T00:00:00Z0000");
        assert_eq!(answer_time(951_782_399_999), "2000-02-28T23:59:59Z0999");
        assert_eq!(answer_time(951_782_400_000), "2000-02-29T00:00:00Z0000");
        assert_eq!(answer_time(1_709_251_200_042), "2024-03-01T00:00:00Z0042");
        assert_eq!(answer_time(4_107_542_399_000), "2100-02-28T23:59:59Z0000");
        assert_eq!(answer_time(4_107_542_400_000), "2100-03-01T00:00:00Z0000");
    }

    #[test]
    fn lines_stand_in_the_order_that_clients_expect() {
        let echo = Echo { otp: "cccc".into(), nonce: "0123456789abcdef".parse().unwrap() };
        let times = TokenTimes { timestamp: 5, session_counter: 6, session_use: 7 };
        let text = Answer::new(Status::Ok, "T".into(), echo.clone())
            .with_sync_percent(0)
            .with_times(times)
            .to_text(&ApiKey::empty());
        let names: Vec<_> = text.split("\r\n").map(|line| line.split('=').next().unwrap()).collect();
        assert_eq!(
            names,
            ["h", "t", "otp", "nonce", "sl", "timestamp", "sessioncounter", "sessionuse", "status", "", ""]
        );
        let replay =
            Answer::new(Status::ReplayedOtp, "T".into(), echo.clone()).with_sync_percent(0).with_times(times);
        assert!(!replay.to_text(&ApiKey::empty()).contains("sl="));
        let bad = Answer::new(Status::BadOtp, "T".into(), echo).with_sync_percent(0).with_times(times);
        assert!(!bad.to_text(&ApiKey::empty()).contains("cccc"));
    }
}
