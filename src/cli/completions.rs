//! `bcdr completions`: what a shell has to know to complete commands and options.

use super::{Failure, NAME, global::GlobalArguments};
use clap::Args;
use clap_complete::Shell;

#[derive(Debug, Args)]
#[command(
    long_about = "Print a script that completes commands and options in a shell.",
    after_help = "Examples:\n  \
        bcdr completions bash > /etc/bash_completion.d/bcdr\n  \
        bcdr completions zsh > \"${fpath[1]}/_bcdr\"\n  \
        bcdr completions fish > ~/.config/fish/completions/bcdr.fish"
)]
pub(super) struct Arguments {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Arguments {
    pub(super) fn run(
        &self,
        global: &GlobalArguments,
        program: clap::Command,
    ) -> Result<(), Failure> {
        let script = script(self.shell, program)?;
        global.output().write(&script).map(drop)
    }
}

fn script(shell: Shell, mut program: clap::Command) -> Result<String, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut program, NAME, &mut script);
    String::from_utf8(script)
        .map_err(|error| Failure::error("the script is not a text").cause(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::{CommandFactory, ValueEnum};
    use std::process::Command;

    #[test]
    fn every_shell_gets_all_nouns_and_bash_takes_its_script() {
        for shell in Shell::value_variants() {
            let script = script(*shell, Cli::command()).unwrap();
            for word in ["samples", "keep-target", "token-file", "BCDR"] {
                let is_there = script.contains(word);
                // The name of a variable of the environment is nothing to complete.
                assert_eq!(is_there, word != "BCDR", "{shell}: {word}");
            }
        }
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("bcdr.bash");
        std::fs::write(&file, script(Shell::Bash, Cli::command()).unwrap()).unwrap();
        // Completes `bcdr context sh`, as a shell would.
        let ask = format!(
            "set -e; . {}; COMP_WORDS=(bcdr context sh); COMP_CWORD=2; _bcdr bcdr sh context; echo \"${{COMPREPLY[@]}}\"",
            file.display()
        );
        let bash = Command::new("bash")
            .args(["-n"])
            .arg(&file)
            .status()
            .unwrap();
        assert!(bash.success());
        let completed = Command::new("bash").args(["-c", &ask]).output().unwrap();
        let said = String::from_utf8_lossy(&completed.stderr);
        assert_eq!(completed.stdout, b"show\n", "{said}");
    }
}
