//! The example jobs are jobs, and those in the documentation are the same.

use std::fs;
use std::path::{Path, PathBuf};

use tapkey_workflow::plan::{Job, Target};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn every_example_job_can_be_read() {
    let mut names = Vec::new();
    for entry in fs::read_dir(root().join("examples/jobs")).unwrap() {
        let path = entry.unwrap().path();
        let job = Job::parse(&fs::read_to_string(&path).unwrap());
        let job = job.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        names.push((path.file_name().unwrap().to_str().unwrap().to_owned(), job));
    }
    names.sort_by(|one, other| one.0.cmp(&other.0));
    let wanted = |job: &Job| job.entries.iter().map(|entry| entry.count).sum::<u32>();
    let found: Vec<(&str, u32)> = names.iter().map(|(name, job)| (name.as_str(), wanted(job))).collect();
    assert_eq!(found, [("fleet-of-three.toml", 3), ("one-key.toml", 1)]);
}

#[test]
fn the_jobs_in_the_documentation_are_those_of_the_examples() {
    let page = fs::read_to_string(root().join("docs/plan.md")).unwrap();
    let blocks: Vec<&str> =
        page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let [one, fleet] = blocks[..] else { panic!("two jobs are shown, not {}", blocks.len()) };
    let example = |name: &str| fs::read_to_string(root().join("examples/jobs").join(name)).unwrap();
    let shown = |text: &str| format!("{:?}", Job::parse(text).unwrap().entries);
    let without_lines = |text: String| {
        let line = |part: &str| part.trim_start_matches(|c: char| c.is_ascii_digit()).to_owned();
        text.split("line: ").map(line).collect::<String>()
    };
    assert_eq!(without_lines(shown(one)), without_lines(shown(&example("one-key.toml"))));
    let fleet = format!("version = 1\nvault = \"v\"\n{fleet}");
    // The page leaves out what is the default anyhow.
    assert_eq!(without_lines(shown(&fleet)), without_lines(shown(&example("fleet-of-three.toml"))));
    assert_eq!(Job::parse(&fleet).unwrap().entries[0].target, Target::Serial(4_026_536_501));
}
