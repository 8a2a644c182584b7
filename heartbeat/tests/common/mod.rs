//! The program, run as a user runs it.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// What a run of the program came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// The standard output of a run that did well.
    #[track_caller]
    pub(crate) fn good(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }
}

/// The program in `dir`, with nothing in its environment.
pub(crate) fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_heartbeat"));
    command.current_dir(dir).env_clear().args(args);
    command
}

/// Runs the program in `dir` with `input` piped in.
#[allow(dead_code, reason = "not every test has an input")]
pub(crate) fn heartbeat(dir: &Path, args: &[&str], input: &[u8]) -> Ran {
    let mut child = spawned(command(dir, args).stdin(Stdio::piped()));
    let mut stdin = child.stdin.take().expect("a piped input");
    let input = input.to_vec();
    // On a thread, as the program may write before it has read all. It need not read at all.
    let feeder = std::thread::spawn(move || stdin.write_all(&input));
    let ran = end_of(child);
    let _ = feeder.join().expect("a feeder");
    ran
}

/// Runs a command to its end, without input.
#[allow(dead_code, reason = "not every test has a command of its own")]
pub(crate) fn ended(command: &mut Command) -> Ran {
    end_of(spawned(command.stdin(Stdio::null())))
}

fn spawned(command: &mut Command) -> Child {
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("heartbeat starts")
}

fn end_of(child: Child) -> Ran {
    let output = child.wait_with_output().expect("an output");
    Ran {
        code: output.status.code().expect("an exit status"),
        out: String::from_utf8(output.stdout).expect("UTF-8"),
        err: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}
