//! `tapkey otp static`: program a static password.

use clap::Args as ClapArgs;
use tapkey_protocol::{
    formats::csv::{Credential, Text},
    keyboard::Layout,
    secret::Secret,
    slot::{AccessCode, Options, ScanCodes, ScanCodesError, Slot},
};
use zeroize::Zeroizing;

use super::{
    change::{Change, Job, Leave, Protection, new_code},
    options::{Behaviour, Typing},
    record::Keep,
};
use crate::{
    commands::Context,
    encode::{from_hex, random},
    exit::Failure,
    secrets::{Source, Wanted},
};

/// Options of `tapkey otp static`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  tapkey otp static 2 --password prompt --layout de
  tapkey otp static 2 --generate --length 38 --layout modhex --output keys.csv
  tapkey otp static 2 --generate --alphabet alphanumeric --layout fr --show-secret

A key types key positions, so the password comes out right on machines with the layout that you name \
here; `tapkey otp layouts` shows all, and what each can type.")]
pub(crate) struct Args {
    /// 1 or 2.
    slot: Slot,

    /// Where the password comes from, at most 38 characters.
    #[arg(long, value_name = "SOURCE", conflicts_with = "generate")]
    password: Option<Source>,

    /// Draw the password at random.
    #[arg(long, short)]
    generate: bool,

    /// How many characters to draw.
    #[arg(long, short, value_name = "N", default_value_t = 38, requires = "generate",
        value_parser = clap::value_parser!(u8).range(1..=38))]
    length: u8,

    /// The keyboard layout of the machines that it will be typed on.
    #[arg(long, short = 'k', value_name = "LAYOUT", default_value = "us", conflicts_with = "modhex",
        value_parser = layout)]
    layout: Layout,

    /// The same as --layout modhex: the letters cbdefghijklnrtuv, which most layouts share.
    #[arg(long)]
    modhex: bool,

    /// What is drawn: `ascii` (all of it that the layout types with one key), `all` (its other
    /// characters too), `alphanumeric`, `lower`, `digits`, `modhex`, or `chars:` and the characters.
    #[arg(long, value_name = "SET", requires = "generate", value_parser = alphabet)]
    alphabet: Option<Alphabet>,

    /// The password is given as scan codes in hexadecimal digits, two for each key; the first bit of a
    /// code is Shift.
    #[arg(long, conflicts_with_all = ["generate", "layout", "modhex"])]
    scan_codes: bool,

    #[command(flatten)]
    typing: Typing,
    #[command(flatten)]
    behaviour: Behaviour,
    #[command(flatten)]
    keep: Keep,
    #[command(flatten)]
    protection: Protection,
    #[command(flatten)]
    leave: Leave,
}

/// Characters to draw from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Alphabet {
    Ascii,
    All,
    Alphanumeric,
    Lower,
    Digits,
    Modhex,
    Chars(String),
}

impl Alphabet {
    /// The characters of it that a layout types with one key, and each once.
    fn on(&self, layout: Layout) -> Result<Vec<char>, Failure> {
        if let Self::Chars(wanted) = self {
            if let Some(missing) = wanted.chars().find(|character| layout.key(*character).is_none()) {
                return Err(Failure::usage(format!(
                    "--alphabet: the layout {layout} has no key of its own for {missing:?}"
                ))
                .hint("leave it out, or choose another --layout"));
            }
            return Ok(once(wanted.chars()));
        }
        let fits = |character: &char| match self {
            Self::Ascii => character.is_ascii_graphic(),
            Self::All | Self::Chars(_) => true,
            Self::Alphanumeric => character.is_ascii_alphanumeric(),
            Self::Lower => character.is_ascii_lowercase(),
            Self::Digits => character.is_ascii_digit(),
            Self::Modhex => {
                tapkey_protocol::modhex::ALPHABET.iter().any(|letter| char::from(*letter) == *character)
            }
        };
        let characters = once(layout.characters().filter(fits));
        if characters.len() < 2 {
            return Err(Failure::usage(format!(
                "--alphabet: the layout {layout} has too few of these characters"
            )));
        }
        Ok(characters)
    }
}

fn once(characters: impl Iterator<Item = char>) -> Vec<char> {
    let mut all: Vec<char> = Vec::new();
    for character in characters {
        if !all.contains(&character) {
            all.push(character);
        }
    }
    all
}

fn alphabet(text: &str) -> Result<Alphabet, String> {
    match text {
        "ascii" => Ok(Alphabet::Ascii),
        "all" => Ok(Alphabet::All),
        "alphanumeric" => Ok(Alphabet::Alphanumeric),
        "lower" => Ok(Alphabet::Lower),
        "digits" => Ok(Alphabet::Digits),
        "modhex" => Ok(Alphabet::Modhex),
        _ => match text.strip_prefix("chars:") {
            Some(characters) if characters.chars().count() >= 2 => Ok(Alphabet::Chars(characters.to_owned())),
            _ => Err("write ascii, all, alphanumeric, lower, digits, modhex, or chars: and at least two \
                characters"
                .to_owned()),
        },
    }
}

/// Reads a layout's name.
pub(super) fn layout(text: &str) -> Result<Layout, String> {
    text.parse().map_err(|error: tapkey_protocol::keyboard::NoSuchLayout| {
        let known: Vec<&str> = Layout::all().map(Layout::code).collect();
        format!("{error}; there are {}", known.join(", "))
    })
}

/// Programs the slot.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let layout = if args.modhex { Layout::Modhex } else { args.layout };
    let drawn = args.generate || args.password == Some(Source::Generate);
    // What cannot be typed is refused before the key is looked for.
    let alphabet = args.alphabet.as_ref().unwrap_or(&Alphabet::Ascii);
    let characters = if drawn { alphabet.on(layout)? } else { Vec::new() };
    let mut change = Change::begin(context)?;
    let (code, code_drawn) = new_code(&args.protection)?;
    let (credential, length) = if args.scan_codes {
        scan_codes(args.password.as_ref())?
    } else if drawn {
        let text = draw(&characters, usize::from(args.length))?;
        (Credential::Password { text: Text::new(text), layout }, usize::from(args.length))
    } else {
        let text = Wanted { name: "the password", option: "--password" }.read(args.password.as_ref())?;
        check(&text, layout)?;
        let length = text.chars().count();
        (Credential::Password { text: Text::new(text), layout }, length)
    };
    let written = change.program(&Job {
        slot: args.slot,
        credential,
        changes: args.behaviour.and(args.typing.changes()),
        will: format!("slot {} will type a static password of {length} characters", args.slot),
        generated: code_drawn || drawn,
        code: &code,
        current: None,
        leave: &args.leave,
        keep: &args.keep,
        by: "otp static",
    })?;
    written.report(context)
}

/// Names what the layout lacks, and which layouts do not.
pub(super) fn check(text: &str, layout: Layout) -> Result<(), Failure> {
    let Err(error) = ScanCodes::from_text(text, layout, Options::default(), AccessCode::NONE) else {
        return Ok(());
    };
    let failure = Failure::usage(error.to_string());
    let ScanCodesError::NotOnKeyboard { .. } = error else { return Err(failure) };
    let able: Vec<&str> = Layout::all()
        .filter(|other| text.chars().all(|character| other.keys(character).is_some()))
        .map(Layout::code)
        .collect();
    Err(if able.is_empty() {
        failure.hint("no layout types all of its characters; `tapkey otp layouts` shows what each can type")
    } else {
        failure.hint(format!("layouts that type all of it: {}", able.join(", ")))
    })
}

fn scan_codes(source: Option<&Source>) -> Result<(Credential, usize), Failure> {
    let text = Wanted { name: "the scan codes", option: "--password" }.read(source)?;
    let bytes = from_hex(&text, "the password")?;
    let mut codes = [0; 38];
    let room = codes.get_mut(..bytes.len()).ok_or_else(|| {
        Failure::usage(format!("{} scan codes do not fit a slot, at most 38 do", bytes.len()))
    })?;
    room.copy_from_slice(&bytes);
    if bytes.is_empty() {
        return Err(Failure::usage("the password is empty"));
    }
    Ok((Credential::ScanCodes { codes: Secret::new(codes) }, bytes.len()))
}

/// Characters drawn evenly: bytes beyond the largest multiple of the alphabet are thrown away.
fn draw(alphabet: &[char], length: usize) -> Result<Zeroizing<String>, Failure> {
    let fair = u8::try_from(256 - 256 % alphabet.len() - 1).unwrap_or(u8::MAX);
    let mut text = Zeroizing::new(String::with_capacity(length * 4));
    let mut drawn = 0;
    while drawn < length {
        let [byte] = *random::<1>()?;
        if byte <= fair
            && let Some(letter) = alphabet.get(usize::from(byte) % alphabet.len())
        {
            text.push(*letter);
            drawn += 1;
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_letters_are_of_the_alphabet_and_of_the_layout() {
        for layout in Layout::all() {
            for alphabet in [Alphabet::Ascii, Alphabet::All, Alphabet::Lower, Alphabet::Modhex] {
                let characters = alphabet.on(layout).unwrap();
                assert!(characters.len() <= 128, "{layout} {}", characters.len());
                let password = draw(&characters, 38).unwrap();
                assert_eq!(password.chars().count(), 38);
                assert!(password.chars().all(|letter| characters.contains(&letter)));
                assert!(check(&password, layout).is_ok());
            }
        }
        assert_eq!(Alphabet::Ascii.on(Layout::Us).unwrap().len(), 94);
        assert!(Alphabet::Digits.on(Layout::Modhex).is_err());
        assert!(Alphabet::Chars("aé".into()).on(Layout::Us).unwrap_err().message().contains('é'));
    }

    #[test]
    fn what_a_layout_lacks_is_named() {
        let failure = check("Grüße", Layout::Us).unwrap_err();
        assert!(failure.message().contains("'ü'") && failure.message().contains("character 3"), "{failure}");
        assert!(failure.advice().unwrap().contains("de"), "{failure:?}");
        assert!(check("Grüße", Layout::De).is_ok());
        assert!(check(&"x".repeat(39), Layout::De).unwrap_err().message().contains("39"));
    }
}
