//! Sessions on tokio: dropped futures take their command back, and nothing is left behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::as_conversions, missing_docs)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{Emulated, NONE, chalresp};
use tapkey_driver::asynchronous::{self, AsyncOtpSession, AsyncSession};
use tapkey_driver::{CancelToken, Control, Device, Error, OtpSession, Prefer, TouchEvent};
use tapkey_emulator::port::in_process::PluggedKey;
use tapkey_emulator::{Profile, TouchPolicy, VirtualKey};
use tapkey_protocol::oath::Algorithm;
use tapkey_protocol::slot::Slot;
use tokio::time::timeout;

/// A key in real time whose slot 1 wants a touch and whose slot 2 does not.
async fn key() -> (PluggedKey, AsyncOtpSession) {
    let key = VirtualKey::builder().profile(Profile::YUBIKEY_5_7_4).touch(TouchPolicy::Manual);
    let key = PluggedKey::new(key.build().unwrap()).unwrap();
    let control = Control::new();
    let link = key.otp().unwrap();
    let otp = AsyncSession::open(&control, move |control| OtpSession::over_hid(link, control)).await.unwrap();
    otp.call(&control, |otp, control| {
        otp.program(Slot::One, &chalresp(b"key", true), &NONE, control)?;
        otp.program(Slot::Two, &chalresp(b"key", false), &NONE, control)
    })
    .await
    .unwrap();
    (key, otp)
}

fn waits(key: &PluggedKey) -> bool {
    key.with(|key| key.waits_for()).is_some()
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn expected(challenge: &[u8]) -> Vec<u8> {
    Algorithm::Sha1.hmac(b"key", challenge)
}

#[tokio::test]
async fn a_dropped_future_takes_its_challenge_back() {
    let (key, otp) = key().await;
    let control = Control::new();
    let mut asking = Box::pin(otp.challenge_hmac(Slot::One, b"x", &control));
    assert!(timeout(Duration::from_millis(500), &mut asking).await.is_err());
    assert!(waits(&key), "the key blinks");
    drop(asking);
    until("the key waits no longer", || !waits(&key)).await;
    // Nobody else was cancelled, and the session is as good as new.
    control.check().unwrap();
    let answer = otp.challenge_hmac(Slot::Two, b"y", &control).await.unwrap();
    assert_eq!(answer.expose().to_vec(), expected(b"y"));
}

#[tokio::test]
async fn a_touch_answers_the_future() {
    let (key, otp) = key().await;
    let touched = key.clone();
    let control = Control::new().with_touch(move |event| {
        if let TouchEvent::Needed { .. } = event {
            touched.touch().unwrap();
        }
    });
    let answer = otp.challenge_hmac(Slot::One, b"x", &control).await.unwrap();
    assert_eq!(answer.expose().to_vec(), expected(b"x"));
}

#[tokio::test]
async fn deadlines_and_tokens_of_the_caller_still_count() {
    let (key, otp) = key().await;
    let control = Control::new().with_timeout(Duration::from_millis(400));
    let error = otp.challenge_hmac(Slot::One, b"x", &control).await.unwrap_err();
    assert!(matches!(error, Error::DeadlinePassed), "{error:?}");
    assert!(!waits(&key));

    let token = CancelToken::new();
    let control = Control::new().with_cancel(token.clone());
    let asking = otp.clone();
    let task = tokio::spawn(async move { asking.challenge_hmac(Slot::One, b"x", &control).await });
    until("the key waits", || waits(&key)).await;
    token.cancel();
    assert!(matches!(task.await.unwrap(), Err(Error::Cancelled)));
    assert!(!waits(&key));
}

/// Whoever waits for the session gives up at its own deadline, whoever has the session keeps it.
#[tokio::test]
async fn one_after_the_other() {
    let (key, otp) = key().await;
    let (first, second) = (otp.clone(), otp.clone());
    let asking = tokio::spawn(async move { first.challenge_hmac(Slot::One, b"x", &Control::new()).await });
    until("the key waits", || waits(&key)).await;
    let short = Control::new().with_timeout(Duration::from_millis(200));
    let start = Instant::now();
    assert!(matches!(second.serial(&short).await, Err(Error::DeadlinePassed)));
    assert!(start.elapsed() < Duration::from_secs(2));
    assert!(waits(&key), "the first one goes on");
    key.touch().unwrap();
    assert_eq!(asking.await.unwrap().unwrap().expose().to_vec(), expected(b"x"));
    second.serial(&Control::new()).await.unwrap();
}

#[tokio::test]
async fn a_device_opens_sessions() {
    let (key, _) = key().await;
    let control = Control::new();
    let device =
        asynchronous::run(&control, move |control| Device::from_connector(Box::new(Emulated(key)), control))
            .await
            .unwrap();
    let management = device.open_management_async(&control).await.unwrap();
    let info = management.device_info(&control).await.unwrap();
    assert_eq!(info.serial, device.serial());
    let otp = device.open_otp_async(Prefer::ChallengeResponse, &control).await.unwrap();
    assert!(otp.status(&control).await.is_ok());
    let oath = device.open_oath_async(&control).await.unwrap();
    assert!(oath.call(&control, |oath, control| oath.list(control)).await.unwrap().is_empty());
    let piv = device.open_piv_async(&control).await.unwrap();
    assert_eq!(Some(piv.call(&control, |piv, _| Ok(piv.version())).await.unwrap()), device.version());
    assert_eq!(Some(otp.serial(&control).await.unwrap()), device.serial());
}

#[tokio::test]
#[should_panic = "of the work"]
async fn a_panic_of_the_work_is_the_callers() {
    let _ = asynchronous::run(&Control::new(), |_| -> Result<(), Error> { panic!("of the work") }).await;
}

/// Two threads for blocking work are enough for a hundred dropped calls: each comes back.
#[test]
fn no_thread_is_lost() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(2)
        .enable_time()
        .build()
        .unwrap();
    let running = Arc::new(AtomicUsize::new(0));
    let before = threads();
    runtime.block_on(async {
        let (key, otp) = key().await;
        for _ in 0..100 {
            let (counted, otp) = (Arc::clone(&running), otp.clone());
            let control = Control::new();
            let call = otp.call(&control, move |otp, control| {
                counted.fetch_add(1, Ordering::SeqCst);
                let answer = otp.challenge_hmac(Slot::One, b"x", control);
                counted.fetch_sub(1, Ordering::SeqCst);
                answer
            });
            assert!(timeout(Duration::from_millis(10), call).await.is_err());
        }
        until("all calls came back", || running.load(Ordering::SeqCst) == 0).await;
        let answer = otp.challenge_hmac(Slot::Two, b"y", &Control::new()).await.unwrap();
        assert_eq!(answer.expose().to_vec(), expected(b"y"));
        assert!(!waits(&key));
    });
    drop(runtime);
    assert!(threads() <= before, "{} threads, {before} before", threads());
}

/// Of this process, where the system tells.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

/// Two keys in one process know nothing of each other: what waits on one neither holds up nor ends
/// what is done on the other.
#[tokio::test]
async fn keys_do_not_share_anything() {
    let ((one, first), (two, second)) = (key().await, key().await);
    let control = Control::new();
    let mut asking = Box::pin(first.challenge_hmac(Slot::One, b"x", &control));
    assert!(timeout(Duration::from_millis(300), &mut asking).await.is_err());
    let answer = second.challenge_hmac(Slot::Two, b"y", &control).await.unwrap();
    assert_eq!(answer.expose().to_vec(), expected(b"y"));
    assert!(waits(&one) && !waits(&two));
    one.touch().unwrap();
    assert_eq!(asking.await.unwrap().expose().to_vec(), expected(b"x"));
}

/// The library keeps nothing between calls but what its values hold: no source file of it has a
/// `static` or a variable of a thread.
#[test]
fn there_is_no_global_state() {
    fn look(folder: &std::path::Path) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                look(&path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for (number, line) in text.lines().enumerate() {
                let code = line.trim_start();
                let found = ["static ", "pub static ", "pub(crate) static ", "thread_local!"]
                    .iter()
                    .any(|start| code.starts_with(start));
                assert!(!found, "{}:{}: {line}", path.display(), number + 1);
            }
        }
    }
    look(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
}

/// Less than the fifteen seconds after which a key ends a wait by itself.
const PATIENCE: Duration = Duration::from_secs(10);
