//! Our one-time passwords agree with Yubico's own token library, both ways.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::as_conversions, missing_docs)]

use std::collections::HashMap;

use tapkey_protocol::{
    modhex,
    otp::{AesKey, Otp, PrivateId, PublicId, Timestamp, Token},
};
use tapkey_tests::{
    credential::{told, ykgenerate},
    parts::{command, part},
};

/// Random, and the same in every run.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.next().to_le_bytes()[0])
    }

    fn token(&mut self) -> Token {
        Token {
            private_id: PrivateId::new(self.bytes()),
            use_counter_raw: self.next() as u16,
            timestamp: Timestamp::new(self.next() as u32),
            session_counter: self.next() as u8,
            random: self.next() as u16,
        }
    }
}

/// The fields that `ykparse` prints, by their names.
struct Parsed {
    fields: HashMap<String, String>,
    good: bool,
}

fn ykparse(key: &[u8; 16], block: &str) -> Parsed {
    let output = command("ykparse").arg(data_encoding::HEXLOWER.encode(key)).arg(block).output().unwrap();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let (_, fields) = text.split_once("Struct:").unwrap_or_else(|| panic!("{}", told(&output)));
    let fields = fields
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect();
    Parsed { fields, good: output.status.success() }
}

impl Parsed {
    /// A number is written twice: `counter: 19 (0x0013)`.
    fn number(&self, name: &str) -> u32 {
        let value = &self.fields[name];
        let (decimal, hex) = value.split_once(" (0x").unwrap();
        let hex = u32::from_str_radix(hex.trim_end_matches(')'), 16).unwrap();
        assert_eq!(decimal.parse::<u32>().unwrap(), hex, "{name}");
        hex
    }
}

#[test]
fn a_thousand_tokens_are_read_alike() {
    part("ykparse").unwrap();
    let mut random = SplitMix(0x7461_706b_6579);
    for round in 0..1000 {
        let key: [u8; 16] = random.bytes();
        let token = random.token();
        let block = modhex::encode(&token.seal(&AesKey::new(key)));
        let theirs = ykparse(&key, &block);
        let ours = block.parse::<Otp>().unwrap().open(&AesKey::new(key)).unwrap();
        assert!(theirs.good, "round {round}");
        assert_eq!(ours, token);
        let uid: String = theirs.fields["uid"].split_whitespace().collect();
        assert_eq!(uid, data_encoding::HEXLOWER.encode(ours.private_id.expose()));
        assert_eq!(theirs.number("counter"), u32::from(ours.use_counter_raw));
        assert_eq!(theirs.number("cleaned counter"), u32::from(ours.counter().use_counter()));
        let low_and_high = theirs.number("timestamp (low)") | theirs.number("timestamp (high)") << 16;
        assert_eq!(low_and_high, ours.timestamp.value());
        assert_eq!(theirs.number("session use"), u32::from(ours.session_counter));
        assert_eq!(theirs.number("random"), u32::from(ours.random));
    }
}

/// Also about what is *no* token: blocks that do not decrypt, and good ones with one letter changed.
#[test]
fn what_is_no_token_is_refused_alike() {
    part("ykparse").unwrap();
    let mut random = SplitMix(1);
    for round in 0..200 {
        let key: [u8; 16] = random.bytes();
        let mut block: [u8; 16] = random.bytes();
        if round % 2 == 0 {
            block = random.token().seal(&AesKey::new(key));
            block[round / 2 % 16] ^= 1 << (round % 7);
        }
        let ours = Otp::new(PublicId::EMPTY, block).open(&AesKey::new(key)).is_ok();
        assert_eq!(ykparse(&key, &modhex::encode(&block)).good, ours, "round {round}");
    }
}

#[test]
fn what_ykgenerate_makes_is_what_we_make() {
    let mut random = SplitMix(2);
    for _ in 0..50 {
        let key: [u8; 16] = random.bytes();
        let token = Token { random: 0, ..random.token() };
        let (uid, ticks) = (token.private_id.expose(), token.timestamp.value());
        let block = ykgenerate(&key, uid, token.use_counter_raw, ticks, token.session_counter).unwrap();
        let opened = block.parse::<Otp>().unwrap().open(&AesKey::new(key)).unwrap();
        // Their tool fills in random bytes of its own where none are given.
        assert_eq!(Token { random: 0, ..opened.clone() }, token);
        assert_eq!(modhex::encode(&opened.seal(&AesKey::new(key))), block);
    }
}

/// `tapkey otp decode` on the same thousand, a hundred to a key.
#[test]
fn otp_decode_reads_them_alike() {
    use std::{io::Write, process::Stdio};

    part("ykparse").unwrap();
    let home = tempfile::tempdir().unwrap();
    let mut random = SplitMix(0x6465_636f_6465);
    for _ in 0..10 {
        let key: [u8; 16] = random.bytes();
        let blocks: Vec<_> =
            (0..100).map(|_| modhex::encode(&random.token().seal(&AesKey::new(key)))).collect();
        let mut child = tapkey_tests::tapkey::command(home.path())
            .unwrap()
            .args(["otp", "decode", "--json", "--aes-key", "env:SECRET", "-"])
            .env("SECRET", data_encoding::HEXLOWER.encode(&key))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(blocks.join("\n").as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", told(&output));
        let lines: Vec<serde_json::Value> = String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), blocks.len());
        for (ours, block) in lines.iter().zip(&blocks) {
            let theirs = ykparse(&key, block);
            let number = |name: &str| u32::try_from(ours[name].as_u64().unwrap()).unwrap();
            assert!(theirs.good);
            let uid: String = theirs.fields["uid"].split_whitespace().collect();
            assert_eq!(ours["private_id"], uid);
            assert_eq!(number("use_counter"), theirs.number("cleaned counter"));
            assert_eq!(number("session_counter"), theirs.number("session use"));
            let low_and_high = theirs.number("timestamp (low)") | theirs.number("timestamp (high)") << 16;
            assert_eq!(number("timestamp"), low_and_high);
            assert_eq!(number("random"), theirs.number("random"));
        }
    }
}
