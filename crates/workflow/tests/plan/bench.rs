//! An emulated key under a clock that only moves when somebody sleeps, a vault, and a job.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tapkey_driver::clock::ManualClock;
use tapkey_driver::{Connector, Control, Device, Error, OathSession, OtpSession, Ways};
use tapkey_emulator::port::in_process::{self, PluggedKey};
use tapkey_emulator::{Milliseconds, Power, Profile, SeededRandom, TouchPolicy, VirtualKey};
use tapkey_protocol::link::{CardLink, CardTransport, LinkError, OtpLink};
use tapkey_workflow::plan::{
    Action, Applied, ApplyError, Job, KeyAccess, KeyPlan, Opener, PlanError, Planner, Vault, VaultFile,
    Wishes,
};

pub const SERIAL: u32 = 0xF000_1234;
pub const NOW: u64 = 1_790_000_000;

pub struct Bench {
    pub key: PluggedKey,
    clock: Arc<ManualClock>,
    folder: tempfile::TempDir,
}

impl Bench {
    pub fn new(profile: Profile) -> Self {
        Self::of(profile, SERIAL)
    }

    pub fn of(profile: Profile, serial: u32) -> Self {
        let key = VirtualKey::builder()
            .profile(profile)
            .serial(serial)
            .random(SeededRandom::new(7))
            .touch(TouchPolicy::Automatic(Milliseconds(300)))
            .build()
            .unwrap();
        let emulated = in_process::ManualClock::new();
        let key = PluggedKey::with_clock(key, emulated.clone()).unwrap();
        let clock = Arc::new(ManualClock::with_hook(move |elapsed| {
            let now = u64::try_from(elapsed.as_millis()).unwrap();
            emulated.advance(Milliseconds(now) - emulated.now().min(Milliseconds(now)));
        }));
        let bench = Self { key, clock, folder: tempfile::tempdir().unwrap() };
        drop(VaultFile::create(&bench.vault_path(), Opener::Plain, Vault::new().unwrap()).unwrap());
        bench
    }

    pub fn vault_path(&self) -> PathBuf {
        self.folder.path().join("vault")
    }

    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub fn vault(&self) -> VaultFile {
        VaultFile::open(&self.vault_path(), Opener::Plain).unwrap()
    }

    pub fn put(&self, name: &str, secret: &str) {
        let mut file = self.vault();
        file.vault
            .put(Some(SERIAL), name, tapkey_workflow::plan::SecretText::new(secret.to_owned()))
            .unwrap();
        file.save().unwrap();
    }

    /// What a vault has under a name.
    pub fn secret(&self, name: &str) -> Option<String> {
        self.vault().vault.of_key(SERIAL, name).map(|secret| secret.expose().to_owned())
    }

    pub fn control(&self) -> Control {
        Control::with_clock(self.clock.clone()).with_timeout(Duration::from_secs(60))
    }

    pub fn device(&self) -> Result<Device, Error> {
        Device::from_connector(Box::new(Emulated(self.key.clone())), &self.control())
    }

    pub fn planner(&self, job: &str) -> Planner {
        let job = Job::parse(&format!("version = 1\nvault = \"vault\"\n{job}")).unwrap();
        Planner::new(job, self.folder.path(), Some(self.vault())).unwrap()
    }

    pub fn plan(&self, job: &str) -> KeyPlan {
        self.plan_with(job, wishes())
    }

    pub fn plan_with(&self, job: &str, wishes: Wishes) -> KeyPlan {
        self.planner(job).plan(&self.device().unwrap(), wishes, &self.control()).unwrap()
    }

    pub fn apply(&self, job: &str) -> Result<Applied, ApplyError> {
        self.apply_with(job, wishes())
    }

    pub fn apply_with(&self, job: &str, wishes: Wishes) -> Result<Applied, ApplyError> {
        let device = match self.device() {
            Ok(device) => device,
            Err(error) => return Err(PlanError::Key(error).into()),
        };
        let mut access = Access { device, bench: self };
        self.planner(job).apply(&mut access, wishes, &|| self.control(), "2026-11-21T22:00:00Z", &mut |_| {})
    }

    /// Applies a job, and sees that nothing is left to do.
    pub fn converge(&self, job: &str) -> Applied {
        let applied = self.apply(job).unwrap_or_else(|error| panic!("{error}\n{job}"));
        let plan = self.plan(job);
        assert_eq!((plan.changes(), plan.refused().count()), (0, 0), "{plan:#?}\n{job}");
        applied
    }

    pub fn otp(&self) -> OtpSession {
        OtpSession::over_hid(self.key.otp().unwrap(), &self.control()).unwrap()
    }

    pub fn oath(&self) -> OathSession {
        OathSession::over_card(self.key.card().unwrap(), &self.control()).unwrap()
    }
}

pub fn wishes() -> Wishes {
    Wishes { seconds: NOW, ..Wishes::default() }
}

pub fn force() -> Wishes {
    Wishes { force: true, ..wishes() }
}

/// An entry for the key of the bench.
pub fn entry(body: &str) -> String {
    format!("[[key]]\nserial = {SERIAL}\n{body}")
}

/// What a plan says about something.
pub fn action(plan: &KeyPlan, subject: &str) -> Action {
    let found = plan.items.iter().find(|item| item.subject == subject);
    found.unwrap_or_else(|| panic!("nothing about {subject}: {plan:#?}")).action
}

pub struct Access<'a> {
    pub device: Device,
    pub bench: &'a Bench,
}

impl KeyAccess for Access<'_> {
    fn device(&self) -> Device {
        self.device.clone()
    }

    fn after_restart(&mut self, _: &Control) -> Result<Device, Error> {
        self.device = self.bench.device()?;
        Ok(self.device.clone())
    }
}

/// The smallest connector around an emulated key.
struct Emulated(PluggedKey);

impl Connector for Emulated {
    fn name(&self) -> String {
        "emulated key".to_owned()
    }

    fn open_otp_link(&self) -> Result<Option<Box<dyn OtpLink>>, LinkError> {
        if self.ways().hid { Ok(Some(Box::new(self.0.otp()?))) } else { Ok(None) }
    }

    fn open_card_link(&self) -> Result<Option<Box<dyn CardLink>>, LinkError> {
        if self.ways().card.is_some() { Ok(Some(Box::new(self.0.card()?))) } else { Ok(None) }
    }

    fn is_software(&self) -> bool {
        true
    }

    fn ways(&self) -> Ways {
        self.0.with(|key| {
            let nfc = key.powered() == Power::Nfc;
            let transport = if nfc { CardTransport::Nfc } else { CardTransport::Usb };
            Ways { hid: key.has_otp_reports() && !nfc, card: key.has_card().then_some(transport) }
        })
    }
}
