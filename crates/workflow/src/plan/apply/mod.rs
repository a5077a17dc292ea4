//! Making a key what it is wanted to be.

mod oath;
mod settings;
mod slots;

use tapkey_driver::{Control, Device, Error};
use tapkey_protocol::slot::{AccessCode, Slot};
use thiserror::Error;

use super::diff::{Decided, KeyPlan};
use super::memory::Remembered;
use super::planner::{PlanError, Store};
use super::resolve::{CodeDesire, Desired, SlotDesire};
use super::step::{SlotWork, Step, is_safe};
use super::vault::{FileError, SecretText};

/// A key that may restart while it is worked on.
pub trait KeyAccess {
    /// The key as it was found last.
    fn device(&self) -> Device;

    /// Finds the same key again after it was told to restart, and waits until it is back.
    ///
    /// # Errors
    /// [`Error`](tapkey_driver::Error) when it does not come back.
    fn after_restart(&mut self, control: &Control) -> Result<Device, Error>;
}

/// What happens while a job is applied.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// What will be done.
    Planned(KeyPlan),
    /// A step begins.
    Step {
        /// Its number, from 1.
        number: usize,
        /// How many there are.
        of: usize,
        /// What is done.
        what: String,
    },
}

/// A key that is as it is wanted to be.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Applied {
    /// What was found at the end: nothing is left to be changed.
    pub plan: KeyPlan,
    /// How many steps that took.
    pub steps: usize,
}

/// Why a key is not as it is wanted to be.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// It could not be compared with the job. Nothing was changed.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Something of the job is refused. Nothing was changed.
    #[error("{}: {}", if *switched_on { "something was switched on, and nothing else changed" }
        else { "nothing was changed" }, first_refusal(plan))]
    Refused {
        /// What was wanted.
        plan: Box<KeyPlan>,
        /// An application was switched on before, to look at it.
        switched_on: bool,
    },
    /// The vault could not be written, so nothing was changed on the key.
    #[error("nothing was changed on the key: {0}")]
    Vault(#[from] FileError),
    /// A step failed.
    #[error("{}", interrupted(step, done, left, source))]
    Interrupted {
        /// What was done.
        done: Vec<String>,
        /// What failed.
        step: String,
        /// What was not begun.
        left: Vec<String>,
        /// Why.
        source: StepError,
    },
    /// Everything was done, and the key is not as it should be all the same.
    #[error("everything was done, but the key is not as it should be: {}", left_over(.0))]
    NotThere(Box<KeyPlan>),
}

/// Why a step failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StepError {
    /// The key or the way to it.
    #[error(transparent)]
    Key(#[from] Error),
    /// The key accepted it, and does not show it.
    #[error("the key accepted it, but {0}")]
    NotVerified(String),
    /// The code would exist on the key only.
    #[error("the {what} is not saved in the vault, so the key must not get it")]
    NotSaved {
        /// Which code.
        what: &'static str,
    },
    /// Another key is plugged in now.
    #[error("another key is plugged in now: serial number {found}, not {wanted}")]
    WrongKey {
        /// The key that is worked on.
        wanted: u32,
        /// The one that is there.
        found: u32,
    },
    /// The steps would lock somebody out. This is a fault of this program.
    #[error("the order of the steps is not safe; please report this")]
    Order,
    /// The vault could not be written afterwards. What was applied is right, but not remembered.
    #[error("the key was changed, but the vault could not be written: {0}")]
    Vault(#[from] FileError),
}

/// One application under way.
pub(super) struct Run<'a> {
    store: &'a mut Store,
    access: &'a mut dyn KeyAccess,
    desired: &'a Desired,
    serial: u32,
    steps: Vec<Step>,
    controls: &'a dyn Fn() -> Control,
    now: &'a str,
    seconds: u64,
    progress: &'a mut dyn FnMut(Event),
}

impl<'a> Run<'a> {
    pub(super) fn new(
        store: &'a mut Store,
        access: &'a mut dyn KeyAccess,
        desired: &'a Desired,
        decided: Decided,
        controls: &'a dyn Fn() -> Control,
        (now, seconds): (&'a str, u64),
        progress: &'a mut dyn FnMut(Event),
    ) -> Self {
        let Decided { plan, steps, .. } = decided;
        Self { store, access, desired, serial: plan.serial, steps, controls, now, seconds, progress }
    }

    /// Writes down what is about to happen, does it, and writes down what happened.
    pub(super) fn finish(mut self) -> Result<(), ApplyError> {
        self.intend();
        self.store.save()?;
        let steps = self.steps.clone();
        let texts: Vec<String> = steps.iter().map(ToString::to_string).collect();
        let mut outcome = if is_safe(&steps) { Ok(()) } else { Err((0, StepError::Order)) };
        for (index, step) in steps.iter().enumerate() {
            if outcome.is_err() {
                break;
            }
            (self.progress)(Event::Step { number: index + 1, of: steps.len(), what: texts[index].clone() });
            outcome = self.step(step).map_err(|error| (index, error));
        }
        if let Err((failed, _)) = &outcome {
            self.forget_intentions(&steps[failed + 1..]);
        }
        let saved = self.store.save().map_err(StepError::from);
        let (failed, source) = match (outcome, saved) {
            (Ok(()), Ok(())) => return Ok(()),
            (Err(failure), _) => failure,
            (Ok(()), Err(error)) => {
                let step = "write the vault".to_owned();
                return Err(ApplyError::Interrupted { done: texts, step, left: Vec::new(), source: error });
            }
        };
        Err(ApplyError::Interrupted {
            done: texts[..failed].to_vec(),
            step: texts[failed].clone(),
            left: texts[failed + 1..].to_vec(),
            source,
        })
    }

    /// Everything that could be half done when the plug is pulled, and every code that the key will
    /// get, is written into the vault first.
    fn intend(&mut self) {
        let key = self.store.vault().fingerprint_key.clone();
        for step in &self.steps {
            match step {
                Step::Slot { slot, work } => {
                    let (writing, current) = intention(self.desired, *slot, *work, &key, self.now);
                    let vault = self.store.vault_mut();
                    vault.memory_mut(self.serial).slot_mut(*slot).writing = Some(writing);
                    if let Some(code) = current {
                        vault.remember_code(self.serial, *slot, &code);
                    }
                }
                Step::Settings { lock: Some(Some(code)), .. } => {
                    let codes = &mut self.store.vault_mut().memory_mut(self.serial).lock_codes;
                    if !codes.contains(code) {
                        codes.push(code.clone());
                    }
                }
                Step::Account { id } => {
                    let wanted = self.desired.oath.iter().flat_map(|oath| &oath.present);
                    if let Some(wanted) = wanted.into_iter().find(|wanted| wanted.id == *id) {
                        let writing = wanted.remember("", &key, self.now);
                        let memory = self.store.vault_mut().memory_mut(self.serial);
                        memory.accounts.entry(id.to_string()).or_default().writing = Some(writing);
                    }
                }
                Step::Password { set: true } => {
                    if let Some(CodeDesire::Set(password)) =
                        self.desired.oath.as_ref().map(|oath| &oath.password)
                    {
                        let passwords = &mut self.store.vault_mut().memory_mut(self.serial).oath_passwords;
                        if !passwords.contains(password) {
                            passwords.push(password.clone());
                        }
                    }
                }
                Step::Settings { .. }
                | Step::SwitchOn { .. }
                | Step::DeleteAccount { .. }
                | Step::Password { set: false } => {}
            }
        }
    }

    /// What was not begun is not half done.
    fn forget_intentions(&mut self, steps: &[Step]) {
        for step in steps {
            let memory = self.store.vault_mut().memory_mut(self.serial);
            match step {
                Step::Slot { slot, .. } => memory.slot_mut(*slot).writing = None,
                Step::Account { id } => {
                    let account = memory.accounts.entry(id.to_string()).or_default();
                    account.writing = None;
                    if account.applied.is_none() {
                        memory.accounts.remove(&id.to_string());
                    }
                }
                _ => {}
            }
        }
    }

    fn step(&mut self, step: &Step) -> Result<(), StepError> {
        let control = (self.controls)();
        let device = self.access.device();
        self.check_key(&device)?;
        match step {
            Step::SwitchOn { usb } => self.switch_on(&device, *usb, &control),
            Step::Slot { slot, work } => self.write_slot(&device, *slot, *work, &control),
            Step::DeleteAccount { id } => self.delete_account(&device, id, &control),
            Step::Account { id } => self.store_account(&device, id, &control),
            Step::Password { set } => self.write_password(&device, *set, &control),
            Step::Settings { config, lock } => self.write_settings(&device, config, lock.as_ref(), &control),
        }
    }

    /// The key that is worked on, and no other.
    fn check_key(&self, device: &Device) -> Result<(), StepError> {
        let found = device.serial().unwrap_or_default();
        if found == self.serial { Ok(()) } else { Err(StepError::WrongKey { wanted: self.serial, found }) }
    }
}

/// What a slot will hold, and the present code where the job has it.
fn intention(
    desired: &Desired,
    slot: Slot,
    work: SlotWork,
    key: &SecretText,
    now: &str,
) -> (Remembered, Option<AccessCode>) {
    match &desired.slots[slot.index()] {
        SlotDesire::Program(program) if work != SlotWork::Delete => {
            let code = match &program.code {
                CodeDesire::Set(code) => code.clone(),
                CodeDesire::Keep | CodeDesire::None => AccessCode::NONE,
            };
            (Remembered::of_slot(&*program.config(code), key, now), program.current.clone())
        }
        SlotDesire::Empty { current } => (Remembered::emptied(now), current.clone()),
        SlotDesire::Program(program) => (Remembered::emptied(now), program.current.clone()),
        SlotDesire::Keep => (Remembered::emptied(now), None),
    }
}

fn first_refusal(plan: &KeyPlan) -> String {
    plan.refused().next().map_or_else(String::new, |item| {
        format!("{}: {}", item.subject, item.note.as_deref().unwrap_or(&item.now))
    })
}

fn left_over(plan: &KeyPlan) -> String {
    let subjects: Vec<&str> = plan
        .items
        .iter()
        .filter(|item| item.action.is_change() || item.action == super::diff::Action::Refused)
        .map(|item| item.subject.as_str())
        .collect();
    subjects.join(", ")
}

fn interrupted(step: &str, done: &[String], left: &[String], source: &StepError) -> String {
    let list = |steps: &[String]| if steps.is_empty() { "nothing".to_owned() } else { steps.join("; ") };
    format!("could not {step}: {source} (done: {}; not begun: {})", list(done), list(left))
}
